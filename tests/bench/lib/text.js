// How near the text that a viewer shows is to the guest's own: PSNR and SSIM against the very picture.
//
// A frame of the workload `scroll` shows rows of one text that repeats every 1024 rows, 8 rows further with each frame
// (tests/guest/src/workload.rs), so a few screenshots tell what every frame of it must look like.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import pngjs from "pngjs";
import { ssim } from "ssim.js";
import { STRIP, readCounter } from "../../e2e/lib/counter.js";
import { folder, sleep, until } from "../../e2e/lib/processes.js";
import { median } from "./figures.js";
import { clocks } from "./measure.js";

/** Rows that a frame moves, and after which the text repeats. */
const STEP = 8;
const ROWS = 1024;
/** When the picture is looked at after a page of text has been painted. */
export const AFTER_MS = [100, 300, 1000];
/** When it counts as at rest. */
const REST_MS = 3000;
/** Before a page appears there is nothing else to send. */
const QUIET_MS = 1000;
/** A picture that is the guest's, pixel by pixel, has no noise at all: shown as so many decibels. */
export const EXACT_DB = 99;
/** Pictures while it scrolls, and how far they are apart. */
const MOVING = 12;
const MOVING_MS = 170;

/** Text that appears, rests and scrolls, each compared with the guest's own pictures. */
export async function text(session, fps) {
  const { side, size } = session;
  const reference = await Reference.take(session);
  const appeared = await appearing(session);
  const moving = await scrolling(session, reference, fps);
  const least = moving.reduce((worst, one) => (one.psnr < worst.psnr ? one : worst), { psnr: Infinity });
  return {
    side: side.name,
    size,
    after: Object.fromEntries(AFTER_MS.map((ms, at) => [ms, appeared[at]])),
    rest: appeared.at(-1),
    moving: moving.length === 0 ? undefined : {
      n: moving.length,
      p50: median(moving.map((one) => one.psnr)),
      least: least.psnr,
      ssim: least.ssim(),
      torn: moving.filter((one) => one.torn).length,
    },
  };
}

/** A page of text appears on a dark screen; the guest stands still at once, so that nothing else changes. */
async function appearing({ guest, view, host }) {
  await guest.workload("idle");
  await sleep(QUIET_MS);
  const related = await clocks(guest, view);
  const paint = await firstPaint(guest, "scroll", 1);
  await host.pause();
  const painted = (paint.t + related.guest.offset - related.view.offset) / 1e6;
  const shown = await view.pictures([...AFTER_MS, REST_MS].map((ms) => painted + ms));
  const file = join(folder("bench"), "truth.png");
  await host.screenshot(file);
  await host.resume();
  const truth = cut(pngjs.PNG.sync.read(readFileSync(file)));
  return shown.map((one) => ({ psnr: decibels(one, truth), ssim: structure(one, truth) }));
}

/** Pictures while it scrolls, beside the frame whose number they carry. One without a whole number says nothing. */
async function scrolling({ guest, view }, reference, fps) {
  const first = await firstPaint(guest, "scroll", fps);
  await sleep(QUIET_MS);
  const now = await view.now();
  const shown = await view.pictures(Array.from({ length: MOVING }, (_, n) => now + n * MOVING_MS));
  return shown.flatMap((one) => {
    const counter = readCounter((x, y) => one.data[(y * one.width + x) * 4 + 1]);
    // What is older than the workload, or than its second frame, has no frame before it.
    if (counter === undefined || counter <= first.paint) return [];
    const number = counter - first.paint;
    const mixed = mixture(one, [number, number - 1, number + 1].map((each) => reference.frame(each)));
    const own = decibels(one, reference.frame(number));
    const psnr = decibels(one, mixed);
    // Twice the error of a picture that may have rows of both neighbours.
    return [{ psnr, torn: psnr - own > 3, ssim: () => structure(one, mixed) }];
  });
}

/**
 * The frame, or its neighbours, row by row, whichever is nearest to what is shown: on a busy computer QEMU reads the guest's memory while
 * the guest paints its next frame there, so that a picture has rows of both. What is left is what the way to the viewer did.
 */
function mixture(picture, frames) {
  const [{ width, height }] = frames;
  const shown = below(picture, frames[0]);
  const data = Buffer.alloc(shown.length);
  for (let y = 0; y < height; y++) {
    const [begin, end] = [y * width * 4, (y + 1) * width * 4];
    const nearest = frames.map((frame) => ({ frame, error: difference(shown, frame.data, begin, end) }))
      .reduce((best, one) => (one.error < best.error ? one : best));
    nearest.frame.data.copy(data, begin, begin, end);
  }
  return { width, height, data };
}

/** Begins a workload: its first paint, which shows all of its first picture. The second follows at once. */
async function firstPaint(guest, name, fps) {
  const from = guest.events.length;
  const { t: begun } = await guest.workload(name, fps);
  return until(async () => {
    // The guest reports paints late, but before every answer; some that it reports now are of the workload before.
    await guest.state();
    return guest.events.slice(from).find((event) => event.paint !== undefined && event.t >= begun);
  }, `the first paint of ${name}`, 30_000, 0);
}

/** What the workload's frames look like: all below the counter. */
class Reference {
  #rows = new Array(ROWS);

  constructor({ width, height }) {
    this.width = width;
    this.height = height;
  }

  static async take({ guest, host, size }) {
    const reference = new Reference(size);
    const file = join(folder("bench"), "truth.png");
    const first = await firstPaint(guest, "scroll", 1);
    while (reference.#rows.includes(undefined)) {
      await host.screenshot(file);
      reference.#add(pngjs.PNG.sync.read(readFileSync(file)), first.paint);
      if (reference.#rows.includes(undefined)) await sleep(500);
    }
    return reference;
  }

  #add({ width, height, data }, first) {
    if (width !== this.width || height !== this.height) throw new Error(`the screenshot has ${width} × ${height} pixels`);
    const counter = readCounter((x, y) => data[(y * width + x) * 4 + 1]);
    if (counter === undefined || counter < first) return;
    for (let y = STRIP.height; y < height; y++) {
      const row = data.subarray(y * width * 4, (y + 1) * width * 4);
      const known = this.#rows[this.#at(counter - first, y)];
      if (known && !known.equals(row)) throw new Error(`two screenshots disagree in row ${y}: this is not what the guest paints`);
      this.#rows[this.#at(counter - first, y)] = row;
    }
  }

  #at = (frame, y) => (frame * STEP + y) % ROWS;

  /** The frame's picture below the counter, RGBA. */
  frame(number) {
    const rows = Array.from({ length: this.height - STRIP.height }, (_, n) => this.#rows[this.#at(number, n + STRIP.height)]);
    return { width: this.width, height: rows.length, data: Buffer.concat(rows) };
  }
}

/** What of a picture lies below the counter. */
const cut = ({ width, height, data }) => ({ width, height: height - STRIP.height, data: data.subarray(STRIP.height * width * 4) });

/** The same of what is shown, which must be as large; a video whose lines must be even may have one more. */
function below({ width, height, data }, truth) {
  if (width !== truth.width || height - STRIP.height < truth.height) throw new Error(`the picture has ${width} × ${height} pixels`);
  return data.subarray(STRIP.height * width * 4, (STRIP.height + truth.height) * width * 4);
}

/** The sum of the squared differences of all colours, from one byte to another. */
function difference(a, b, begin, end) {
  let sum = 0;
  for (let at = begin; at < end; at += 1) if (at % 4 !== 3) sum += (a[at] - b[at]) ** 2;
  return sum;
}

/** PSNR over the three colours, in decibels. */
export function decibels(picture, truth) {
  const shown = below(picture, truth);
  const sum = difference(shown, truth.data, 0, shown.length);
  return sum === 0 ? EXACT_DB : 10 * Math.log10((255 * 255 * truth.width * truth.height * 3) / sum);
}

/** SSIM of the luma, the mean over windows of 8 × 8 at every pixel. */
export function structure(picture, truth) {
  const image = (data) => ({ data, width: truth.width, height: truth.height });
  return ssim(image(below(picture, truth)), image(truth.data), { ssim: "weber", windowSize: 8, downsample: false }).mssim;
}
