// What of a surface's picture goes to the browser: what has changed since it was last sent, when the browser has drawn the last.
import { FRAME, FRAME_HEAD, FRAME_RECT } from "./wire.js";

/** A tile's sides in pixels: wide, as rows are what memory has in one piece. */
const TILE_WIDTH = 64;
const TILE_HEIGHT = 16;

/** Milliseconds between frames at least: a little less than a sixtieth of a second, as timers are late and never early. */
const PERIOD = 15;

/** Of B, G, R and a fourth byte. */
const BGRA = 0;

/**
 * The rectangles, of whole tiles, in which two pictures differ; all of it where there was none of this size before.
 * Rectangles of one row of tiles that lie beside each other are one.
 */
export function changes(now, before) {
  const { width, height, pixels } = now;
  if (before?.width !== width || before.height !== height) return [{ x: 0, y: 0, width, height }];
  const old = before.pixels;
  const stride = width * 4;
  const columns = Math.ceil(width / TILE_WIDTH);
  const found = [];
  for (let top = 0; top < height; top += TILE_HEIGHT) {
    const bottom = Math.min(top + TILE_HEIGHT, height);
    // Most rows of tiles are as they were.
    if (pixels.compare(old, top * stride, bottom * stride, top * stride, bottom * stride) === 0) continue;
    const changed = new Uint8Array(columns);
    for (let y = top; y < bottom; y++) {
      for (let column = 0; column < columns; column++) {
        if (changed[column]) continue;
        const from = y * stride + column * TILE_WIDTH * 4;
        const to = Math.min(from + TILE_WIDTH * 4, (y + 1) * stride);
        if (pixels.compare(old, from, to, from, to) !== 0) changed[column] = 1;
      }
    }
    for (let column = 0; column < columns; column++) {
      if (!changed[column]) continue;
      const first = column;
      while (changed[column + 1]) column += 1;
      const [x, right] = [first * TILE_WIDTH, Math.min((column + 1) * TILE_WIDTH, width)];
      const above = found.at(-1);
      if (above && above.x === x && above.width === right - x && above.y + above.height === top) above.height += bottom - top;
      else found.push({ x, y: top, width: right - x, height: bottom - top });
    }
  }
  return found;
}

/** Rectangles of a picture as one message; `wire.js` has its layout's sizes, `canvas.js` reads it. */
export function packed(surface, seq, { width, height, pixels }, rects) {
  const area = rects.reduce((sum, rect) => sum + rect.width * rect.height, 0);
  const head = FRAME_HEAD + rects.length * FRAME_RECT;
  const bytes = Buffer.allocUnsafe(head + area * 4);
  bytes.writeUInt8(FRAME, 0);
  bytes.writeUInt8(BGRA, 1);
  bytes.writeUInt16LE(rects.length, 2);
  bytes.writeUInt32LE(seq, 4);
  bytes.writeDoubleLE(surface, 8);
  bytes.writeUInt16LE(width, 16);
  bytes.writeUInt16LE(height, 18);
  let [place, at] = [FRAME_HEAD, head];
  for (const rect of rects) {
    for (const number of [rect.x, rect.y, rect.width, rect.height]) place = bytes.writeUInt16LE(number, place);
    const [row, stride] = [rect.width * 4, width * 4];
    // Rows of the whole width lie in one piece.
    const [rows, length] = rect.width === width ? [1, row * rect.height] : [rect.height, row];
    for (let y = 0; y < rows; y++) {
      const from = (rect.y + y) * stride + rect.x * 4;
      at += pixels.copy(bytes, at, from, from + length);
    }
  }
  return bytes;
}

/** Sends a surface's picture to a browser that says when it has drawn it: the newest then, and one at a time. */
export class Painter {
  #surface;
  #send;
  #dirty = false;
  #waits = false;
  #seq = 0;
  #last = 0;
  #timer;
  #sent;
  #spare;

  constructor(surface, send) {
    this.#surface = surface;
    this.#send = send;
    surface.watch(() => {
      this.#dirty = true;
      this.#pump();
    });
  }

  /** The browser has drawn a frame. */
  drawn(seq) {
    if (seq !== this.#seq) return;
    this.#waits = false;
    this.#pump();
  }

  end() {
    clearTimeout(this.#timer);
    this.#dirty = false;
    this.#surface.destroy();
  }

  #pump() {
    if (!this.#dirty || this.#waits) return;
    const wait = this.#last + PERIOD - performance.now();
    clearTimeout(this.#timer);
    if (wait > 0) {
      this.#timer = setTimeout(() => this.#pump(), wait);
      return;
    }
    this.#dirty = false;
    let shown;
    try {
      shown = this.#surface.shown(this.#spare);
    } catch (error) {
      console.error(error.message);
    }
    if (!shown) return;
    const rects = changes(shown, this.#sent);
    this.#spare = this.#sent?.pixels;
    this.#sent = shown;
    if (rects.length === 0) return;
    this.#seq += 1;
    this.#waits = true;
    this.#last = performance.now();
    this.#send(packed(this.#surface.number, this.#seq, shown, rects));
  }
}
