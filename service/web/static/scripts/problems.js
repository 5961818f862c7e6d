/** What went wrong, in the reader's words, with the remedy. */

import { knows, say } from "./languages.js";
import { settings } from "./settings.js";

const LATER = ["wait", "offline", "key-required", "other"];

/** The last part of a problem's `type`: its stable name. */
const slugOf = (type) => String(type ?? "").split(/[:/]/).pop() || "other";

/** The problem in a reply that is not an answer. */
export function problemOf(reply) {
  if (reply.status === 0) return { slug: "offline", detail: "" };
  const slug = slugOf(reply.body?.type);
  const detail = reply.body?.detail ?? `HTTP ${reply.status}`;
  return { slug: knows(`problem.${slug}`) ? slug : "other", detail, request: reply.body?.request_id };
}

/** What is wrong. */
export const title = (problem) => say(`problem.${problem.slug}`);

/** What to do about it. */
export const help = (problem) => say(`help.${settings.help[problem.slug] ?? "other"}`);

/** Whether a smaller copy of the image may do. */
export const smallerHelps = (problem) => settings.help[problem.slug] === "smaller";

/** Whether the same image may do at another time. */
export const laterHelps = (problem) => LATER.includes(settings.help[problem.slug] ?? "other");
