// How near a viewer's picture is to the guest's own.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "./processes.js";

/** Runs in the page: decibels between the picture that it shows and a PNG, over all colours; nothing if their sizes differ. */
async function decibels(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const truth = await createImageBitmap(new Blob([bytes], { type: "image/png" }), { colorSpaceConversion: "none" });
  const { width, height } = truth;
  const pixels = (source) => {
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true, alpha: false });
    context.drawImage(source, 0, 0);
    return context.getImageData(0, 0, width, height).data;
  };
  const video = document.querySelector("video");
  // A size that is odd is shown cut, where the format has only even ones.
  if (video.videoWidth - width > 1 || video.videoHeight - height > 1 || video.videoWidth < width) return undefined;
  const [a, b] = [pixels(video), pixels(truth)];
  let sum = 0;
  for (let at = 0; at < a.length; at += 1) if (at % 4 !== 3) sum += (a[at] - b[at]) ** 2;
  return 10 * Math.log10((255 * 255) / (Math.max(sum, 1) / (width * height * 3)));
}

/** What a viewer shows against the machine's own screenshot, now. */
export async function likeness(sampan, viewer) {
  const file = join(sampan.dir, "truth.png");
  await sampan.ctl("screenshot", file);
  return viewer.page.evaluate(decibels, readFileSync(file).toString("base64"));
}

/** Waits until a viewer shows what the guest's screen, which rests, has, as well as that. */
export async function shows(sampan, viewer, least, timeoutMs = 30_000) {
  let seen;
  await until(async () => {
    // Anew each time: the guest may still be painting.
    seen = await likeness(sampan, viewer);
    return seen >= least;
  }, () => `${least} dB; last seen ${seen}`, timeoutMs);
  return seen;
}
