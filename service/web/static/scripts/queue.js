/** Takes the session's images to the service, one after another, and never loses one on the way. */

import { problemOf } from "./problems.js";
import { settings } from "./settings.js";
import { shrink } from "./shrink.js";
import { upload } from "./upload.js";

const TRIES = 4;
const LONGEST_WAIT = 30;

/** The problem of a file that need not travel to be refused, or null. */
function cannotBeSent({ size }) {
  if (size === 0) return { slug: "empty-file", detail: "" };
  if (size <= settings.bodyLimit) return null;
  return { slug: "upload-too-large", detail: `${size} bytes; up to ${settings.bodyLimit} are accepted` };
}

export class Queue {
  #session;
  #askKey;
  #key = "";
  #running = false;
  #stops = new Map();
  #wake = null;

  /** `shrinkAll` says whether every image is to be made smaller; `askKey` asks the reader for the access key. */
  constructor(session, { shrinkAll, askKey }) {
    this.#session = session;
    this.#askKey = askKey;
    this.shrinkAll = shrinkAll;
    session.addEventListener("remove", ({ detail }) => this.#stops.get(detail.id)?.abort());
    addEventListener("online", () => this.#wake?.());
  }

  /** The access key that the reader gave; empty for none. */
  get key() {
    return this.#key;
  }

  /** Puts an image in line again, smaller where asked. */
  again(item, { smaller = false } = {}) {
    if (item.status === "offline" || item.status === "busy") return this.#wake?.();
    this.#session.update(item, { status: "waiting", problem: null, smaller: smaller || item.smaller });
    return this.run();
  }

  /** Works through what waits; returns at once where that is under way. */
  async run() {
    if (this.#running) return;
    this.#running = true;
    try {
      for (let item; (item = this.#session.items.find(({ status }) => status === "waiting")); ) {
        const stop = new AbortController();
        this.#stops.set(item.id, stop);
        await this.#check(item, stop.signal);
        this.#stops.delete(item.id);
      }
    } finally {
      this.#running = false;
    }
  }

  async #check(item, signal) {
    const set = (fields) => signal.aborted || this.#session.update(item, fields);
    if (item.smaller || this.shrinkAll()) {
      set({ status: "shrinking" });
      const smaller = await shrink(item.file);
      if (smaller !== item.file && !signal.aborted) this.#session.replace(item, smaller);
    }
    const unfit = cannotBeSent(item.file);
    if (unfit) return set({ status: "failed", problem: unfit });
    if (settings.keyAsked && !this.#key && !(await this.#learnKey())) {
      return set({ status: "failed", problem: { slug: "key-required", detail: "" } });
    }
    for (let tries = 1; !signal.aborted; tries += 1) {
      set({ status: "sending", sent: 0 });
      const onSent = (sent) => set({ sent, status: sent < 1 ? "sending" : "reading" });
      const reply = await upload(item.file, { key: this.#key, onSent, signal });
      if (signal.aborted) return;
      if (reply.status === 200 && reply.body) {
        if (reply.body.picture) this.#session.picture(item, reply.body.picture);
        return set({ status: "done", answer: reply.body, problem: null, time: new Date() });
      }
      const problem = problemOf(reply);
      if (reply.status === 401 && (await this.#learnKey())) continue;
      const passing = reply.status === 503 || reply.status === 429 || reply.status === 0;
      if (!passing || tries >= TRIES) return set({ status: "failed", problem });
      const status = reply.status === 0 ? "offline" : "busy";
      await this.#wait(item, status, reply.retryAfter || 2 ** tries, signal);
    }
  }

  async #learnKey() {
    const key = await this.#askKey(this.#key !== "");
    this.#key = key ?? "";
    return key !== null;
  }

  /** Counts down to the next try; ends early when the reader or the connection says so. */
  #wait(item, status, seconds, signal) {
    return new Promise((resolve) => {
      let left = Math.min(Math.ceil(seconds), LONGEST_WAIT);
      const tick = () => {
        if (signal.aborted || (left <= 0 && (status === "busy" || navigator.onLine))) return done();
        this.#session.update(item, { status, wait: Math.max(left, 0) });
        left -= 1;
      };
      const timer = setInterval(tick, 1000);
      const done = () => {
        clearInterval(timer);
        this.#wake = null;
        resolve();
      };
      this.#wake = done;
      tick();
    });
  }
}
