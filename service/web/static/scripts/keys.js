/** Asks for the access key when the service wants one. The key is never stored: it ends with the page. */

import { byId } from "./dom.js";

/** Asks once; `wrong` says that a key was given and refused. Resolves to the key, or null when the reader declines. */
export function askKey(wrong) {
  const dialog = byId("key");
  const value = byId("key-value");
  byId("key-error").hidden = !wrong;
  value.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => {
        const given = dialog.returnValue === "send" ? value.value.trim() : "";
        value.value = "";
        resolve(given || null);
      },
      { once: true },
    );
  });
}
