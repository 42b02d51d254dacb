// Draws a surface's frames on a canvas.
import { FRAME_HEAD, FRAME_RECT } from "./wire.js";

/** What `draw` of `Link.surface` is for this canvas. It gets the guest's size; the page's style fits it in. */
export function painter(canvas) {
  // The compositor ignores the alpha of an opaque surface, and of others the module makes it so.
  const context = canvas.getContext("2d", { alpha: false });
  return (bytes) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const [width, height] = [view.getUint16(16, true), view.getUint16(18, true)];
    // Setting a size clears the canvas.
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const count = view.getUint16(2, true);
    let at = bytes.byteOffset + FRAME_HEAD + count * FRAME_RECT;
    for (let number = 0; number < count; number++) {
      const place = FRAME_HEAD + number * FRAME_RECT;
      const [x, y, wide, high] = [0, 2, 4, 6].map((offset) => view.getUint16(place + offset, true));
      const length = wide * high * 4;
      // In place, as a picture of its own for each would take most of the time.
      swap(new Uint32Array(bytes.buffer, at, wide * high));
      context.putImageData(new ImageData(new Uint8ClampedArray(bytes.buffer, at, length), wide, high), x, y);
      at += length;
    }
    canvas.dispatchEvent(new CustomEvent("sampanframe"));
  };
}

/** B G R x to R G B A, as numbers of four bytes whose first is the lowest. */
function swap(pixels) {
  for (let at = 0; at < pixels.length; at++) {
    const pixel = pixels[at];
    pixels[at] = 0xff000000 | (pixel & 0xff00) | ((pixel & 0xff) << 16) | ((pixel >>> 16) & 0xff);
  }
}
