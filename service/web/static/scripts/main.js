/** Puts the page together: what comes in goes to the queue, what comes back is drawn. */

import { answerCard, outcome, problemCard } from "./answer.js";
import { byId, make } from "./dom.js";
import { drawFigures, haveFigures, readFigures } from "./figures.js";
import { listen } from "./intake.js";
import { askKey } from "./keys.js";
import { number, say, speak } from "./languages.js";
import { drawList, state } from "./list.js";
import { laterHelps, smallerHelps } from "./problems.js";
import { Queue } from "./queue.js";
import { printReport, saveReport } from "./report.js";
import { Session } from "./session.js";
import { SHOWN, Viewer } from "./viewer.js";

const SPOKEN = ["done", "failed", "busy", "offline"];

const session = new Session();
const viewer = new Viewer();
const queue = new Queue(session, { shrinkAll: () => byId("shrink").checked, askKey });

document.documentElement.classList.add("scripted");
byId("retry").addEventListener("click", () => queue.again(session.current));

const language = document.documentElement.lang;
const silent = new AbortController();

/** Ends in true once there are words. Where they never come, the page works as where scripts are off. */
const words = speak(language).catch(() => speak(language)).then(() => true, () => {
  silent.abort();
  document.documentElement.classList.remove("scripted");
  return false;
});

listen(async (files) => {
  if (!(await words)) return;
  if (!session.add(files).length) return;
  byId("current").focus({ preventScroll: true });
  queue.run();
}, silent.signal);

session.addEventListener("select", () => {
  drawSession();
  if (session.current) viewer.show(session.current);
  drawCurrent();
  reveal();
});
session.addEventListener("change", ({ detail: item }) => {
  if (item?.status === "done" && !item.seen) present(item);
  drawList(session);
  if (item && item === session.current) drawCurrent();
  if (item?.status === "done" && !haveFigures()) readFigures(queue.key);
});
byId("clear").addEventListener("click", () => {
  session.clear();
  byId("title").focus();
});
byId("language").addEventListener("change", async ({ target }) => {
  await speak(target.value, { remember: true });
  drawFigures();
  drawSession();
  drawn = "";
  drawCurrent();
});

/** Lays the heatmap over a new answer, except where there is nothing to look for. */
function present(item) {
  item.seen = true;
  if (outcome(item.answer) !== "normal") item.view.strength = SHOWN;
}

/** Shows the list and the work area, or neither where there is no image. */
function drawSession() {
  const some = session.items.length > 0;
  document.documentElement.classList.toggle("busy", some);
  byId("session").hidden = byId("work").hidden = !some;
  drawList(session);
}

/** Brings the answer up where it would begin below the middle of a small screen. */
function reveal() {
  const work = byId("work");
  if (!work.hidden && work.getBoundingClientRect().top > innerHeight / 2) work.scrollIntoView();
}

let drawn = "";

/** Draws the chosen image's answer or progress; what is read out changes only when there is something new to say. */
function drawCurrent() {
  const item = session.current;
  if (!item) return;
  byId("current").replaceChildren(make("bdi", {}, item.name));
  drawProgress(item);
  const phase = SPOKEN.includes(item.status) ? item.status : "reading";
  if (`${item.id} ${phase}` === drawn) return;
  drawn = `${item.id} ${phase}`;
  byId("answer").replaceChildren(spoken(item, phase));
  byId("actions").replaceChildren(...actions(item));
  viewer.refresh();
}

/** What the status region holds: the answer, the problem, or one sentence for those who cannot see the progress. */
function spoken(item, phase) {
  if (phase === "done") return answerCard(item);
  if (phase === "failed") return problemCard(item.problem);
  const key = { busy: "problem.overloaded", offline: "work.offline", reading: "work.reading" }[phase];
  return make("p", { className: "visually-hidden" }, say(key));
}

/** What is going on with an image that has no answer yet. */
function drawProgress(item) {
  const waits = item.status === "busy" || item.status === "offline";
  byId("progress").hidden = item.status === "done" || item.status === "failed";
  byId("working").textContent = waits ? say(`work.${item.status}`, { seconds: number(item.wait) }) : state(item);
  byId("retry").hidden = !waits;
  if (item.status === "sending") byId("bar").value = item.sent;
  else byId("bar").removeAttribute("value");
}

/** What can be done with an image that has its answer or its problem. */
function actions(item) {
  const button = (key, act, look = "") => {
    const made = make("button", { type: "button", className: `button ${look}` }, say(key));
    made.addEventListener("click", act);
    return made;
  };
  if (item.status === "done") {
    return [button("report.print", () => printReport(item)), button("report.save", () => saveReport(item))];
  }
  if (item.status !== "failed") return [];
  if (smallerHelps(item.problem)) {
    return [button("work.shrink", () => queue.again(item, { smaller: true }), "primary")];
  }
  return laterHelps(item.problem) ? [button("work.retry", () => queue.again(item), "primary")] : [];
}

if (await words) readFigures();
