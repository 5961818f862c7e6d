/** One image to `POST /predict` and back. The image travels as the body, so its name never leaves the page. */

const SILENCE_MS = 60_000;

/** What every browser shows; of other files, such as DICOM and TIFF, the service gives a picture back. */
const SHOWABLE = /^image\/(jpeg|png|webp|bmp)$/;

/**
 * @typedef {object} Reply
 * @property {number} status      HTTP status; 0 where the service could not be reached
 * @property {any} body           the answer or the problem; null where there is none
 * @property {number} retryAfter  seconds the service asks to wait; 0 where it does not say
 */

/**
 * Sends an image.
 *
 * @param {Blob} file
 * @param {object} options
 * @param {string} options.key  the access key; empty for none
 * @param {(share: number) => void} options.onSent  called as the upload goes, with its share in [0, 1]
 * @param {AbortSignal} options.signal  stops the upload
 * @returns {Promise<Reply>}
 */
export function upload(file, { key, onSent, signal }) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    const gone = () => resolve({ status: 0, body: null, retryAfter: 0 });
    let watchdog;
    const alive = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => request.abort(), SILENCE_MS);
    };
    request.upload.addEventListener("progress", (event) => {
      alive();
      onSent(event.lengthComputable ? event.loaded / event.total : 0);
    });
    request.upload.addEventListener("load", () => onSent(1));
    request.addEventListener("loadend", () => {
      clearTimeout(watchdog);
      if (request.status === 0) return gone();
      const retryAfter = Number(request.getResponseHeader("Retry-After")) || 0;
      resolve({ status: request.status, body: parsed(request.responseText), retryAfter });
    });
    signal.addEventListener("abort", () => request.abort());
    request.open("POST", `predict?heatmap=true&picture=${!SHOWABLE.test(file.type)}`);
    request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
    try {
      if (key) request.setRequestHeader("X-API-Key", key);
    } catch { // a character that no header carries: no service has such a key
      return resolve({ status: 401, body: { type: "key-required" }, retryAfter: 0 });
    }
    alive();
    request.send(file);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
