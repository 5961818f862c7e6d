/** The session's images as a row of thumbnails, each with its state in words. */

import { outcome } from "./answer.js";
import { byId, icon, make } from "./dom.js";
import { percent, say } from "./languages.js";

/** An item's state in a few words. */
export function state(item) {
  switch (item.status) {
    case "done":
      return say(`answer.${outcome(item.answer)}`);
    case "sending":
      return say("work.sending", { percent: percent(item.sent) });
    case "failed":
      return say("work.failed");
    case "busy":
    case "offline":
      return say("work.waiting");
    default:
      return say(`work.${item.status}`);
  }
}

const symbol = (item) => (item.status === "done" ? outcome(item.answer) : item.status === "failed" ? "failed" : null);

/** Draws the list anew: it is short, and drawing it whole keeps it right. */
export function drawList(session) {
  const list = byId("list");
  const focused = list.contains(document.activeElement) ? document.activeElement.id : "";
  list.replaceChildren(...session.items.map((item) => entry(session, item)));
  if (focused) byId(focused)?.focus();
}

function entry(session, item) {
  const kind = symbol(item);
  const picture = make("img", { src: item.url, alt: "", loading: "lazy", className: "thumb" });
  picture.addEventListener("error", () => picture.classList.add("blank"));
  const show = make(
    "button",
    { type: "button", id: `show-${item.id}`, className: "entry" },
    picture,
    make("span", { className: "entry-name" }, make("bdi", {}, item.name)),
    make("span", { className: `entry-state ${kind ?? "pending"}` }, kind ? icon(kind) : null, " ", state(item)),
  );
  if (item === session.current) show.setAttribute("aria-current", "true");
  show.addEventListener("click", () => session.select(item));
  const label = say("list.remove", { name: item.name });
  const remove = make("button", { type: "button", id: `remove-${item.id}`, className: "remove", "aria-label": label },
    icon("remove"));
  remove.addEventListener("click", () => {
    session.remove(item);
    (byId(`show-${session.current?.id}`) ?? byId("title")).focus();
  });
  return make("li", {}, show, remove);
}
