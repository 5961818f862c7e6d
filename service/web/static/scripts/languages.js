/** The page's words and numbers, in the language that the reader chose. */

import { byId } from "./dom.js";

const COOKIE_SECONDS = 365 * 24 * 3600;
const files = new URL("../locales/", import.meta.url);
let words = {};
let locale = document.documentElement.lang;

/** The words for a key, with `{name}` replaced from `values`; nothing in them is read as markup. */
export function say(key, values = {}) {
  const text = words[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** Something that keeps its own direction inside a sentence, such as a version (Unicode isolates, UAX #9). */
export const isolated = (text) => `\u2066${text}\u2069`;

/** Whether the language files know this key. */
export const knows = (key) => key in words;

/** Sets the page to a language: its words, `lang` and `dir`; remembers it where `remember` is set. */
export async function speak(tag, { remember = false } = {}) {
  const answer = await fetch(new URL(`${tag}.json`, files));
  if (!answer.ok) throw new Error(`no words for ${tag}: ${answer.status}`);
  words = await answer.json();
  locale = localeFor(tag);
  document.documentElement.lang = tag;
  document.documentElement.dir = words["meta.dir"];
  document.title = say("app.name");
  for (const element of document.querySelectorAll("[data-t]")) {
    element.textContent = say(element.dataset.t, { size: number(element.dataset.size ?? 0) });
  }
  for (const element of document.querySelectorAll("[data-t-label]")) {
    element.setAttribute("aria-label", say(element.dataset.tLabel));
  }
  byId("language").value = tag;
  if (remember) {
    document.cookie = `lang=${tag}; max-age=${COOKIE_SECONDS}; samesite=lax; path=${location.pathname}`;
  }
}

/** The reader's own variant of a language, for digits and dates: `ar-EG` where the page speaks `ar`. */
function localeFor(tag) {
  const primary = (name) => name.split("-")[0];
  return navigator.languages.find((name) => primary(name) === primary(tag)) ?? tag;
}

/** A number in the reader's digits. */
export const number = (value) => new Intl.NumberFormat(locale).format(value);

/** A share in [0, 1] as a percentage; `digits` after the decimal sign. */
export function percent(share, digits = 0) {
  const format = { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(locale, format).format(share);
}

/** A probability as a percentage that never claims certainty: over 99 %, under 1 %. */
export function probability(value, digits = 0) {
  if (value > 0.99) return say("answer.over", { percent: percent(0.99) });
  if (value < 0.01) return say("answer.under", { percent: percent(0.01) });
  return percent(value, digits);
}

/** Date and time, to the minute, with the time zone. */
export function moment(date) {
  const format = { dateStyle: "medium", timeStyle: "short" };
  return new Intl.DateTimeFormat(locale, format).format(date);
}
