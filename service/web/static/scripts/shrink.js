/** A smaller copy of a photo, made only when the reader asks for it. */

const LONGEST_SIDE = 1280;
const QUALITY = 0.9;

/**
 * Makes a JPEG whose longer side is at most 1280 pixels: five times what the network looks at.
 *
 * @param {Blob} file
 * @returns {Promise<Blob>} the smaller copy; the file itself where the browser cannot open it or nothing is gained
 */
export async function shrink(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return file;
  }
  const scale = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const smaller = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  return smaller && smaller.size < file.size ? smaller : file;
}
