/** The ways an image comes in: chosen, photographed, dragged or pasted. */

import { byId } from "./dom.js";

/** Calls `take` with the files, whichever way they come. */
export function listen(take) {
  for (const id of ["file", "camera"]) {
    const input = byId(id);
    input.addEventListener("change", () => {
      take([...input.files]);
      input.value = "";
    });
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return; // it looks like a button, so it opens like one
      event.preventDefault();
      input.click();
    });
  }
  byId("file").multiple = true;
  byId("file").required = false;
  byId("form").addEventListener("submit", (event) => event.preventDefault());
  listenForDrops(take);
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) take(files);
  });
}

function listenForDrops(take) {
  const veil = byId("veil");
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) veil.hidden = true;
  });
  addEventListener("drop", (event) => {
    veil.hidden = true;
    if (!holdsFiles(event)) return;
    event.preventDefault();
    take([...event.dataTransfer.files]);
  });
}
