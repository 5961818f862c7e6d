/** The ways an image comes in: chosen, photographed, dragged or pasted. */

import { byId } from "./dom.js";

/** Calls `take` with the files, whichever way they come; once `signal` aborts, the form sends its file itself. */
export function listen(take, signal) {
  for (const id of ["file", "camera"]) {
    const input = byId(id);
    input.addEventListener("change", () => {
      take([...input.files]);
      input.value = "";
    }, { signal });
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return; // it looks like a button, so it opens like one
      event.preventDefault();
      input.click();
    }, { signal });
  }
  byId("file").multiple = true;
  byId("file").required = false;
  byId("form").addEventListener("submit", (event) => event.preventDefault(), { signal });
  listenForDrops(take, signal);
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) take(files);
  }, { signal });
  signal.addEventListener("abort", () => {
    byId("file").multiple = false;
    byId("file").required = true;
  });
}

function listenForDrops(take, signal) {
  const veil = byId("veil");
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    veil.hidden = false;
  }, { signal });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) veil.hidden = true;
  }, { signal });
  addEventListener("drop", (event) => {
    veil.hidden = true;
    if (!holdsFiles(event)) return;
    event.preventDefault();
    take([...event.dataTransfer.files]);
  }, { signal });
}
