// Real Chromium, and what the tests need to know of the page in it.
import { chromium } from "playwright-core";
import { STRIP, readCounter } from "./counter.js";
import { until } from "./processes.js";

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/** SAMPAN_CHROMIUM names another browser. */
const executablePath = process.env.SAMPAN_CHROMIUM || "/usr/bin/chromium";

export function launch(flags = []) {
  return chromium.launch({ executablePath, headless: true, args: [...FLAGS, ...flags] });
}

/** A browser whose process is at hand, to be stopped or killed. */
export async function launchServer() {
  const server = await chromium.launchServer({ executablePath, headless: true, args: FLAGS });
  const browser = await chromium.connect(server.wsEndpoint());
  return { browser, pid: server.process().pid, close: () => server.kill() };
}

/** Runs in a page before its own code: notes the connections that it makes for itself. */
export function notePeers() {
  globalThis.sampanPeers = [];
  globalThis.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...args) {
      super(...args);
      globalThis.sampanPeers.push(this);
    }
  };
}

/** One page that shows one VM. */
export class Viewer {
  constructor(page) {
    this.page = page;
    this.problems = [];
    page.on("pageerror", (error) => this.problems.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") this.problems.push(message.text());
    });
  }

  /** Opens the address and waits for nothing; `prepare(page)` is called before. */
  static async open(browser, url, options = {}) {
    const { width = 1024, height = 768, prepare = async () => {}, ...device } = options;
    const context = await browser.newContext({ viewport: { width, height }, serviceWorkers: "block", ...device });
    const page = await context.newPage();
    const viewer = new Viewer(page);
    // Statistics need the connections that the page makes for itself.
    await page.addInitScript(notePeers);
    await prepare(page);
    await page.goto(url);
    return viewer;
  }

  close() {
    return this.page.context().close();
  }

  /** What the page says of itself: `connection` and `guest`. */
  marks() {
    return this.page.evaluate(() => ({ ...document.documentElement.dataset }));
  }

  async connected(timeoutMs = 60_000) {
    await until(async () => (await this.marks()).connection === "connected",
      () => `the connection; problems: ${this.problems.join("; ")}`, timeoutMs);
  }

  /** Waits until this page is connected and drives: a page before it may be on its way out. */
  async driving(timeoutMs = 60_000) {
    await this.connected(timeoutMs);
    await until(async () => (await this.marks()).driving === "true", async () => `control: ${JSON.stringify(await this.marks())}`, timeoutMs);
  }

  /** The counter in the frame that is shown now, if there is a whole one. */
  counter() {
    return this.page.evaluate(`(${grab})(${readCounter}, ${JSON.stringify(STRIP)})`);
  }

  /** Waits for a frame whose counter is at least this. */
  reaches(counter, timeoutMs = 60_000) {
    let seen;
    return until(async () => {
      seen = await this.counter();
      return seen !== undefined && seen !== null && seen >= counter ? { counter: seen } : undefined;
    }, () => `counter ${counter}; last seen ${seen}; problems: ${this.problems.join("; ")}`, timeoutMs)
      .then((found) => found.counter);
  }

  /** The counters of the next `count` frames that the browser presents. */
  frames(count, timeoutMs = 60_000) {
    return this.page.evaluate(
      `(${collect})(${grab}, ${readCounter}, ${JSON.stringify(STRIP)}, ${count}, ${timeoutMs})`);
  }

  /** The colour of a guest pixel in the frame that is shown now, as [r, g, b]. */
  pixel(x, y) {
    return this.page.evaluate(([px, py]) => {
      const canvas = new OffscreenCanvas(1, 1);
      const context = canvas.getContext("2d");
      context.drawImage(document.querySelector("video"), px, py, 1, 1, 0, 0, 1, 1);
      return [...context.getImageData(0, 0, 1, 1).data.slice(0, 3)];
    }, [x, y]);
  }

  /** Size of the video's frames and of the picture that the page shows. */
  sizes() {
    return this.page.evaluate(() => {
      const video = document.querySelector("video");
      const { width, height } = document.querySelector(".surface").dataset;
      return { video: [video.videoWidth, video.videoHeight], shown: [Number(width), Number(height)] };
    });
  }

  /** Where in the window the middle of a guest pixel is. */
  place(x, y) {
    return this.page.evaluate(([px, py]) => {
      const surface = document.querySelector(".surface");
      const box = surface.getBoundingClientRect();
      const { width, height } = surface.dataset;
      return {
        x: box.left + ((px + 0.5) * box.width) / Number(width),
        y: box.top + ((py + 0.5) * box.height) / Number(height),
      };
    }, [x, y]);
  }
}

/** Runs in the page. */
function grab(read, strip) {
  const video = document.querySelector("video");
  if (!video || video.videoWidth < strip.width || video.videoHeight < strip.height) return undefined;
  const canvas = (globalThis.sampanStrip ??= new OffscreenCanvas(strip.width, strip.height));
  const context = (globalThis.sampanStripContext ??=
    canvas.getContext("2d", { willReadFrequently: true, alpha: false }));
  const { width, height } = strip;
  context.drawImage(video, 0, 0, width, height, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  return read((x, y) => data[(y * width + x) * 4 + 1]);
}

/** Runs in the page. */
function collect(grabFrame, read, strip, count, timeoutMs) {
  return new Promise((resolve, reject) => {
    const video = document.querySelector("video");
    const counters = [];
    const timer = setTimeout(
      () => reject(new Error(`only ${counters.length} of ${count} frames came`)), timeoutMs);
    const next = () => {
      counters.push(grabFrame(read, strip) ?? null);
      if (counters.length < count) {
        video.requestVideoFrameCallback(next);
      } else {
        clearTimeout(timer);
        resolve(counters);
      }
    };
    video.requestVideoFrameCallback(next);
  });
}
