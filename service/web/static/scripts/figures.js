/** How reliable the model is, from `GET /model`: its measured sensitivity and specificity, with intervals. */

import { byId, make } from "./dom.js";
import { isolated, percent, say } from "./languages.js";

const SHOWN = { sensitivity: "recall", specificity: "specificity" };
let model = null;

/** Whether the figures are there. */
export const haveFigures = () => model !== null;

/** Reads the figures, without holding anything up. */
export async function readFigures(key = "") {
  try {
    const reply = await fetch("model", { headers: key ? { "X-API-Key": key } : {} });
    model = reply.ok ? await reply.json() : null;
  } catch {
    model = null;
  }
  if (model || !byId("figures").children.length) drawFigures(); // else what the server wrote stays
}

/** Draws what was read, in the language of the page. */
export function drawFigures() {
  const metrics = model?.metrics ?? {};
  const shown = Object.entries(SHOWN).filter(([, metric]) => metrics[metric]);
  if (!shown.length) {
    byId("figures").replaceChildren(make("p", {}, say("about.unavailable")));
    return;
  }
  byId("figures").replaceChildren(
    make("dl", {}, ...shown.map(([name, metric]) => figure(name, metrics[metric]))),
    model.evaluated_on?.startsWith("test") ? make("p", {}, say("about.measured")) : "",
    make("p", { className: "hint", lang: "en", dir: "ltr" }, model.evaluated_on ?? ""),
    make("p", { className: "provenance" }, say("about.version", { version: isolated(model.version) })),
  );
}

function figure(name, { value, low, high }) {
  return make("div", {},
    make("dt", {}, say(`about.${name}`)),
    make("dd", { className: "figure" }, percent(value, 1)),
    make("dd", {}, say(`about.${name}_means`)),
    make("dd", { className: "hint" }, say("about.interval", { low: percent(low, 1), high: percent(high, 1) })));
}
