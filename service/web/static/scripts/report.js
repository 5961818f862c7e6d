/** One image as a one-page report, to print or to keep as a file; it leaves this page only by the reader's hand. */

import { bar, causes, outcome, probabilityText, thresholdText, warnings, wouldSay } from "./answer.js";
import { byId, icon, make } from "./dom.js";
import { moment, say } from "./languages.js";

const LONGEST_SIDE = 1024;
const STRENGTH = 0.5;

/** Prints the report. */
export async function printReport(item) {
  await lay(item);
  print();
}

/** Saves the report as one HTML file that opens anywhere, without a network. */
export async function saveReport(item) {
  const report = (await lay(item)).cloneNode(true);
  report.hidden = false;
  const style = await (await fetch(byId("report-style").href)).text();
  const { lang, dir } = document.documentElement;
  const icons = document.querySelector("svg[hidden]").outerHTML;
  const xray = await embedded(item.file);
  for (const picture of report.querySelectorAll("img[src^=blob]")) picture.src = xray;
  const page = [
    `<!doctype html><html lang="${lang}" dir="${dir}"><head><meta charset="utf-8">`,
    `<meta name="viewport" content="width=device-width"><title></title>`,
    `<style>${style}</style></head><body class="saved">`,
    `${report.outerHTML}${icons}</body></html>`,
  ].join("");
  const url = URL.createObjectURL(new Blob([page], { type: "text/html" }));
  const name = `xray-report-${item.time.toISOString().slice(0, 19).replaceAll(":", "")}.html`;
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Fills the report's place in the page and waits for its pictures. */
async function lay(item) {
  const { answer } = item;
  const kind = outcome(answer);
  const report = byId("report");
  const line = (key, text) => make("div", {}, make("dt", {}, say(key)), make("dd", {}, make("bdi", {}, text)));
  const blank = (key) => make("p", { className: "blank-line" }, say(key));
  report.replaceChildren(
    make("header", {}, make("h1", {}, say("app.name")), make("p", {}, say("app.disclaimer"))),
    make("div", { className: "blanks" }, blank("report.patient"), blank("report.examiner")),
    make("div", { className: "pictures" }, ...(await pictures(item))),
    make("section", { className: `verdict ${kind}` },
      make("p", { className: "label" }, icon(kind), " ", say(`answer.${kind}`)),
      ...(kind === "unfamiliar" ? [wouldSay(answer)] : figures(answer)),
      ...warnings(answer)),
    make("p", {}, make("b", {}, say("next.heading"), ": "), say(`next.${kind}`)),
    ...causes(answer, kind),
    make("dl", { className: "facts" },
      line("report.image", item.name),
      line("report.time", moment(item.time)),
      line("report.model", answer.model.version)),
    make("p", { className: "blank-line tall" }, say("report.findings")),
    make("footer", {}, say("report.disclaimer")),
  );
  await Promise.all([...report.querySelectorAll("img")].map(loaded));
  return report;
}

/** The probability, on its bar, and the threshold. */
function figures(answer) {
  return [
    make("p", {},
      say("answer.probability"), ": ", make("b", {}, probabilityText(answer)), " · ", thresholdText(answer)),
    bar(answer.probability, answer.threshold),
  ];
}

/** The X-ray, and the X-ray with the heatmap over it, where there is one and the answer is one to rely on; none
    where the browser cannot show the format. */
async function pictures(item) {
  const figure = (address, words) =>
    make("figure", {}, make("img", { src: address, alt: words }), make("figcaption", {}, words));
  const xray = await opened(item.url);
  if (!xray) return [];
  const plain = figure(item.url, say("view.heading"));
  const map = item.answer.heatmap;
  if (!map || !item.answer.reliable) return [plain];
  const heat = await opened(`data:image/png;base64,${map.png}`);
  return [plain, figure(blended(xray, heat), say("report.heatmap"))];
}

/** An image, ready to be drawn; null where the browser cannot open it. */
async function opened(address) {
  const image = make("img", { src: address });
  await loaded(image);
  return image.naturalWidth ? image : null;
}

/** Waits until an image is there, or cannot be. */
function loaded(image) {
  if (image.complete) return Promise.resolve();
  return new Promise((resolve) => {
    for (const end of ["load", "error"]) image.addEventListener(end, resolve, { once: true });
  });
}

/** The heatmap over the X-ray as one picture, as a data URL. */
function blended(xray, heat) {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(xray.naturalWidth, xray.naturalHeight));
  const width = Math.round(xray.naturalWidth * scale);
  const height = Math.round(xray.naturalHeight * scale);
  const canvas = make("canvas", { width, height });
  const context = canvas.getContext("2d");
  context.drawImage(xray, 0, 0, width, height);
  context.globalAlpha = STRENGTH;
  context.drawImage(heat, 0, 0, width, height);
  return canvas.toDataURL("image/jpeg", 0.85);
}

/** A file as a data URL, so that a saved report carries it. */
function embedded(file) {
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result));
    reader.readAsDataURL(file);
  });
}
