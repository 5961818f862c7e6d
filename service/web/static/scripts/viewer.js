/** The picture under the reader's hands: zoom, pan, invert, and the heatmap over it. Never mirrored. */

import { byId } from "./dom.js";
import { percent, say } from "./languages.js";

const LARGEST = 8;
const STEP = 1.25;
const PAN = 60;

/** How strongly a heatmap is shown unless the reader sets it. */
export const SHOWN = 0.4;

export class Viewer {
  #item = null;
  #stage = byId("stage");
  #plate = byId("plate");
  #picture = byId("picture");
  #heat = byId("heat");

  constructor() {
    byId("zoom-in").addEventListener("click", () => this.#zoom(STEP));
    byId("zoom-out").addEventListener("click", () => this.#zoom(1 / STEP));
    byId("fit").addEventListener("click", () => this.#zoom(0));
    byId("invert").addEventListener("click", () => this.#invert());
    byId("strength").addEventListener("input", ({ target }) => this.#setStrength(target.value / 100));
    this.#picture.addEventListener("load", () => this.#layOut());
    this.#picture.addEventListener("error", () => this.#showable(false));
    this.#stage.addEventListener("keydown", (event) => this.#press(event));
    this.#stage.addEventListener("dblclick", (event) => this.#zoom(2, event));
    this.#stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    new ResizeObserver(() => this.#layOut()).observe(this.#stage);
    this.#listenForDrag();
    this.#listenForPinch();
  }

  /** Shows an item, as the reader left it. */
  show(item) {
    this.#item = item;
    this.#showable(true);
    this.#picture.src = item.url;
    this.refresh();
  }

  /** Takes up what changed: the heatmap that came, or the language. */
  refresh() {
    const item = this.#item;
    if (!item) return;
    this.#picture.alt = say("view.alt", { name: item.name });
    const map = item.answer?.heatmap;
    byId("heatmap").hidden = !item.answer;
    byId("heatmap-note").textContent = say(map ? "view.heatmap_note" : "view.heatmap_empty");
    byId("strength").disabled = !map;
    this.#heat.hidden = !map;
    if (map) this.#heat.src = `data:image/png;base64,${map.png}`;
    byId("invert").setAttribute("aria-pressed", String(item.view.inverted));
    this.#picture.classList.toggle("inverted", item.view.inverted);
    this.#setStrength(item.view.strength);
  }

  #showable(yes) {
    this.#plate.hidden = !yes;
    byId("no-preview").hidden = yes;
  }

  #setStrength(strength) {
    if (!this.#item) return;
    this.#item.view.strength = strength;
    this.#heat.style.opacity = strength;
    byId("strength").value = Math.round(strength * 100);
    byId("strength-value").textContent = percent(strength);
    byId("strength").setAttribute("aria-valuetext", percent(strength));
  }

  #invert() {
    this.#item.view.inverted = !this.#item.view.inverted;
    this.refresh();
  }

  /** Multiplies the zoom, keeping the point under `at` (or the middle) where it is; 0 fits the whole picture. */
  #zoom(factor, at = null) {
    const { view } = this.#item;
    const stage = this.#stage;
    const box = stage.getBoundingClientRect();
    const x = at ? at.clientX - box.left : stage.clientWidth / 2;
    const y = at ? at.clientY - box.top : stage.clientHeight / 2;
    const before = view.zoom;
    view.zoom = factor ? Math.min(LARGEST, Math.max(1, view.zoom * factor)) : 1;
    const left = (stage.scrollLeft + x) * (view.zoom / before) - x;
    const top = (stage.scrollTop + y) * (view.zoom / before) - y;
    this.#layOut();
    stage.scrollTo(left, top);
  }

  /** Gives the plate its size: the fitted picture times the zoom. */
  #layOut() {
    const { naturalWidth: width, naturalHeight: height } = this.#picture;
    if (!this.#item || !width) return;
    const { clientWidth, clientHeight } = this.#stage;
    const scale = Math.min(clientWidth / width, clientHeight / height) * this.#item.view.zoom;
    this.#plate.style.width = `${Math.floor(width * scale)}px`;
    this.#plate.style.height = `${Math.floor(height * scale)}px`;
    byId("zoom-out").disabled = byId("fit").disabled = this.#item.view.zoom <= 1;
    byId("zoom-in").disabled = this.#item.view.zoom >= LARGEST;
  }

  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const hides = this.#item.view.strength > 0;
    const actions = {
      "+": () => this.#zoom(STEP),
      "=": () => this.#zoom(STEP),
      "-": () => this.#zoom(1 / STEP),
      0: () => this.#zoom(0),
      i: () => this.#invert(),
      h: () => this.#setStrength(hides ? 0 : SHOWN),
      ArrowLeft: () => this.#stage.scrollBy(-PAN, 0),
      ArrowRight: () => this.#stage.scrollBy(PAN, 0),
      ArrowUp: () => this.#stage.scrollBy(0, -PAN),
      ArrowDown: () => this.#stage.scrollBy(0, PAN),
    };
    const action = actions[event.key] ?? actions[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  }

  /** A plain wheel scrolls the page, as everywhere; with Ctrl (or two fingers on a touchpad) it zooms the picture. */
  #wheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    this.#zoom(event.deltaY < 0 ? STEP : 1 / STEP, event);
  }

  /** A mouse drags the picture; fingers scroll it by themselves. */
  #listenForDrag() {
    const stage = this.#stage;
    stage.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "mouse" && event.button === 0) stage.setPointerCapture(event.pointerId);
    });
    stage.addEventListener("pointermove", (event) => {
      if (stage.hasPointerCapture(event.pointerId)) stage.scrollBy(-event.movementX, -event.movementY);
    });
  }

  #listenForPinch() {
    let distance = 0;
    const spread = ([a, b]) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
    const middle = ([a, b]) => ({ clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 });
    this.#stage.addEventListener("touchstart", ({ touches }) => {
      distance = touches.length === 2 ? spread(touches) : 0;
    }, { passive: true });
    this.#stage.addEventListener("touchmove", (event) => {
      if (!distance || event.touches.length !== 2) return;
      event.preventDefault();
      const now = spread(event.touches);
      this.#zoom(now / distance, middle(event.touches));
      distance = now;
    }, { passive: false });
  }
}
