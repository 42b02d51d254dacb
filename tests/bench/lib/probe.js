// Stamps frames in the browser: which counter was decoded and shown when, on the page's own clock.
import { STRIP, readCounter } from "../../e2e/lib/counter.js";

/** Starts stamping on a page that shows WebRTC video. */
export function startVideoProbe(page) {
  return page.evaluate(`(${video})(${readCounter}, ${JSON.stringify(STRIP)})`);
}

/** Starts stamping on a page that draws on a canvas (noVNC, spice-html5). */
export function startCanvasProbe(page) {
  return page.evaluate(`(${canvas})(${readCounter}, ${JSON.stringify(STRIP)})`);
}

/** Stops and returns `{decoded: [[counter, ms]…], shown: [[counter, ms]…], keys: [[code, ms]…]}`. */
export function stopProbe(page) {
  return page.evaluate(() => globalThis.sampanProbe.stop());
}

/**
 * The page's clock against ours: `offset` (ns) is to be added to the page's time in nanoseconds.
 * The quickest of many round trips tells how far off that may be.
 */
export async function pageClock(page, rounds = 100) {
  let best;
  for (let i = 0; i < rounds; i++) {
    const sent = process.hrtime.bigint();
    const ms = await page.evaluate(() => performance.now());
    const back = process.hrtime.bigint();
    const trip = Number(back - sent);
    if (best === undefined || trip < best.trip) {
      best = { trip, offset: Number((sent + back) / 2n) - ms * 1e6 };
    }
  }
  // Chromium rounds its clock to a tenth of a millisecond.
  return { offset: best.offset, error: best.trip / 2 + 1e5 };
}

/** Runs in the page. Decoded frames come from a track processor, shown ones from the video element. */
function video(read, strip) {
  const element = document.querySelector("video");
  const track = element.srcObject.getVideoTracks()[0].clone();
  const reader = new MediaStreamTrackProcessor({ track, maxBufferSize: 2 }).readable.getReader();
  const decoded = [], shown = [], keys = [];
  const byRtp = new Map();
  let running = true;

  const onKey = (event) => keys.push([event.code, performance.now()]);
  addEventListener("keydown", onKey, true);

  const luma = async (frame) => {
    const options = { rect: { x: 0, y: 0, width: strip.width, height: strip.height } };
    const bytes = new Uint8Array(frame.allocationSize(options));
    const [plane] = await frame.copyTo(bytes, options);
    return (x, y) => bytes[plane.offset + y * plane.stride + x];
  };
  (async () => {
    while (running) {
      const { value: frame, done } = await reader.read();
      if (done) break;
      const at = performance.now();
      const rtp = frame.metadata().rtpTimestamp;
      const whole = frame.codedWidth >= strip.width && frame.codedHeight >= strip.height;
      const counter = whole ? read(await luma(frame)) : undefined;
      frame.close();
      if (counter === undefined) continue;
      decoded.push([counter, at]);
      byRtp.set(rtp, counter);
    }
  })();
  const next = (_, metadata) => {
    shown.push([metadata.rtpTimestamp, performance.now()]);
    if (running) element.requestVideoFrameCallback(next);
  };
  element.requestVideoFrameCallback(next);

  globalThis.sampanProbe = {
    stop: async () => {
      running = false;
      removeEventListener("keydown", onKey, true);
      await reader.cancel().catch(() => undefined);
      track.stop();
      const told = shown.filter(([rtp]) => byRtp.has(rtp)).map(([rtp, at]) => [byRtp.get(rtp), at]);
      return { decoded, shown: told, keys };
    },
  };
}

/** Runs in the page. A counter is decoded when it is on the canvas, shown at the next repaint. */
function canvas(read, strip) {
  const target = document.querySelector("canvas");
  const { width, height } = strip;
  const small = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  const decoded = [], shown = [], keys = [];
  let running = true, last, pending;

  const onKey = (event) => keys.push([event.code, performance.now()]);
  addEventListener("keydown", onKey, true);

  const look = () => {
    const at = performance.now();
    if (target.width < width || target.height < height) return;
    small.drawImage(target, 0, 0, width, height, 0, 0, width, height);
    const { data } = small.getImageData(0, 0, width, height);
    const counter = read((x, y) => data[(y * width + x) * 4 + 1]);
    if (counter === undefined || counter === last) return;
    last = counter;
    decoded.push([counter, at]);
    pending = counter;
  };
  // noVNC draws an update on a canvas of its own and then copies what changed to the visible one; spice-html5 puts its images there.
  const context = target.getContext("2d");
  const hooked = ["drawImage", "putImageData"];
  for (const name of hooked) {
    const original = context[name].bind(context);
    context[name] = (...args) => {
      original(...args);
      // Where it is drawn: an image's part (nine arguments) has its own place first.
      const [x, y] = args.length === 9 ? args.slice(5) : args.slice(1);
      if (x < width && y < height) look();
    };
  }
  const frame = () => {
    if (pending !== undefined) shown.push([pending, performance.now()]);
    pending = undefined;
    if (running) requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);

  globalThis.sampanProbe = {
    stop: async () => {
      running = false;
      for (const name of hooked) delete context[name];
      removeEventListener("keydown", onKey, true);
      return { decoded, shown, keys };
    },
  };
}
