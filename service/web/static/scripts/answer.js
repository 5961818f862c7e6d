/** The answer for one image, in one glance: the label, the probability on its bar, what to do next. */

import { draw, icon, make } from "./dom.js";
import { isolated, knows, moment, percent, probability, say } from "./languages.js";
import { help, title } from "./problems.js";

/** What an answer comes down to: `pneumonia`, `normal`, `uncertain`, or `unfamiliar`: nothing to rely on. */
export const outcome = (answer) =>
  !answer.reliable ? "unfamiliar" : answer.needs_review ? "uncertain" : answer.label.toLowerCase();

/** Decimals that keep a probability and a threshold apart where whole percentages would not. */
function decimals({ probability: share, threshold }) {
  return Math.round(share * 100) === Math.round(threshold * 100) && share !== threshold ? 1 : 0;
}

/** The probability in words that never claim certainty. */
export const probabilityText = (answer) => probability(answer.probability, decimals(answer));

/** The threshold in words. */
export const thresholdText = (answer) =>
  say("answer.threshold", { percent: percent(answer.threshold, decimals(answer)) });

/** The bar with the threshold on it; its numbers stand beside it as text. */
export function bar(share, threshold) {
  const picture = draw(
    "svg",
    { class: "bar", "aria-hidden": "true" },
    draw("rect", { class: "track", width: "100%", height: "100%", rx: 6 }),
    draw("rect", { class: "fill", width: `${share * 100}%`, height: "100%", rx: 6 }),
  );
  if (threshold !== undefined) {
    picture.append(draw("rect", { class: "tick", x: `${threshold * 100}%`, width: 3, height: "100%" }));
  }
  return picture;
}

/** The label and the probability in small print, for an answer that must not be relied on. */
export const wouldSay = (answer) =>
  make("p", { className: "would-say" }, say("answer.would_say", {
    label: say(`answer.${answer.label.toLowerCase()}`),
    percent: probabilityText(answer),
  }));

/** The warnings of an answer, but for the one that its heading says. */
export const warnings = (answer) =>
  answer.warnings.filter(({ code }) => code !== "unfamiliar_image").map(warning);

/** The answer as a card. */
export function answerCard(item) {
  const { answer } = item;
  const kind = outcome(answer);
  const lean = kind === "uncertain" ? make("p", {}, say(`answer.leans_${answer.label.toLowerCase()}`)) : null;
  return make(
    "div",
    { className: `card ${kind}` },
    make("p", { className: "label" }, icon(kind), " ", say(`answer.${kind}`)),
    lean,
    ...(kind === "unfamiliar" ? [wouldSay(answer)] : figures(answer)),
    ...warnings(answer),
    make("h3", {}, say("next.heading")),
    make("p", { className: "next" }, say(`next.${kind}`)),
    ...causes(answer, kind),
    make("p", { className: "provenance" },
      say("about.version", { version: isolated(answer.model.version) }), " · ", moment(item.time)),
  );
}

/** The probability, on its bar, and the threshold. */
function figures(answer) {
  return [
    make("p", { className: "probability" },
      make("span", {}, say("answer.probability")), " ", make("b", {}, probabilityText(answer))),
    bar(answer.probability, answer.threshold),
    make("p", { className: "threshold" },
      thresholdText(answer), " ", make("span", {}, say("answer.threshold_means"))),
  ];
}

/** A warning in words; one that the language files do not know is passed on as the service wrote it. */
function warning({ code, message }) {
  const known = knows(`warning.${code}`);
  return make("p", { className: "warning" }, icon("pneumonia"), " ", say(`warning.${known ? code : "other"}`),
    known ? null : make("span", { lang: "en", dir: "ltr" }, ` ${message}`));
}

/** Bacterial against viral, given that it is pneumonia; nothing where the answer is no pneumonia, or no answer. */
export function causes(answer, kind = outcome(answer)) {
  if (!answer.causes || kind === "normal" || kind === "unfamiliar") return [];
  const { BACTERIAL: bacterial, VIRAL: viral } = answer.causes;
  const row = (name, share) =>
    make("div", {}, make("dt", {}, say(`causes.${name}`)), make("dd", {}, bar(share), " ", percent(share)));
  const sum = bacterial + viral || 1;
  return [
    make("h3", {}, say("causes.heading")),
    make("dl", { className: "causes" }, row("bacterial", bacterial / sum), row("viral", viral / sum)),
    make("p", { className: "hint" }, say("causes.note")),
  ];
}

/** A problem as a card: what is wrong, the remedy, and the service's own words for whoever runs it. */
export function problemCard(problem) {
  const detail = make("details", {},
    make("summary", {}, say("answer.detail")),
    make("p", { lang: "en", dir: "ltr" }, problem.detail, problem.request ? ` (request ${problem.request})` : ""));
  return make(
    "div",
    { className: "card failed" },
    make("p", { className: "label" }, icon("failed"), " ", title(problem)),
    make("p", {}, help(problem)),
    problem.detail ? detail : null,
  );
}
