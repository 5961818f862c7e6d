/**
 * The images of this visit: a list in memory that ends with the page.
 *
 * An item goes waiting → (shrinking) → sending → reading → done or failed; `busy` and `offline` are waits between
 * two tries. Every change is announced by a `change` event with the item as its detail.
 *
 * @typedef {object} Item
 * @property {number} id
 * @property {string} name       the file's name, shown in this page only
 * @property {File|Blob} file    what is sent
 * @property {string} url        an object URL of it; a data URL of the picture that the service made of it
 * @property {string} status
 * @property {number} sent       share of the upload that has left, in [0, 1]
 * @property {number} wait       seconds until the next try
 * @property {object|null} answer   what POST /predict said
 * @property {{slug: string, detail: string}|null} problem
 * @property {Date} time         when the answer came
 * @property {{zoom: number, inverted: boolean, strength: number}} view
 */

export class Session extends EventTarget {
  /** @type {Item[]} */
  items = [];
  /** @type {Item|null} */
  current = null;
  #next = 1;

  /** Adds files and shows the first of them. */
  add(files) {
    const added = [...files].map((file) => ({
      id: this.#next++,
      name: file.name || String(this.#next - 1),
      file,
      url: URL.createObjectURL(file),
      status: "waiting",
      sent: 0,
      wait: 0,
      answer: null,
      problem: null,
      time: null,
      view: { zoom: 1, inverted: false, strength: 0 },
    }));
    this.items.push(...added);
    if (added.length) this.select(added[0]);
    return added;
  }

  /** Shows an item. */
  select(item) {
    this.current = item;
    this.#announce("select", item);
  }

  /** Sets fields of an item and tells who listens. */
  update(item, fields) {
    Object.assign(item, fields);
    this.#announce("change", item);
  }

  /** Replaces what is sent for an item, after shrinking it. */
  replace(item, file) {
    URL.revokeObjectURL(item.url);
    this.update(item, { file, url: URL.createObjectURL(file) });
    if (item === this.current) this.#announce("select", item);
  }

  /** Shows a picture (JPEG, base64) instead of the file itself. */
  picture(item, { jpeg }) {
    URL.revokeObjectURL(item.url);
    this.update(item, { url: `data:image/jpeg;base64,${jpeg}` });
    if (item === this.current) this.#announce("select", item);
  }

  /** Forgets an item and shows its neighbour. */
  remove(item) {
    const place = this.items.indexOf(item);
    this.items.splice(place, 1);
    URL.revokeObjectURL(item.url);
    this.#announce("remove", item);
    if (item === this.current) this.select(this.items[Math.min(place, this.items.length - 1)] ?? null);
    else this.#announce("change", null);
  }

  /** Forgets everything. */
  clear() {
    for (const item of this.items.splice(0)) {
      URL.revokeObjectURL(item.url);
      this.#announce("remove", item);
    }
    this.select(null);
  }

  #announce(type, item) {
    this.dispatchEvent(new CustomEvent(type, { detail: item }));
  }
}
