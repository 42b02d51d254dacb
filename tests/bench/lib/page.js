// A page of the browser that shows a guest, and what is read from it.
import { notePeers } from "../../e2e/lib/browser.js";
import { pageClock, startCanvasProbe, startVideoProbe, stopProbe } from "./probe.js";

/** Opens pages that show a guest, and reads them; others than browsers have the same methods. */
export class PageView {
  #page;
  #start;

  /** `kind` is `video` or `canvas`. */
  constructor(page, kind) {
    this.#page = page;
    this.#start = kind === "video" ? startVideoProbe : startCanvasProbe;
  }

  static async open(browser, size, kind, url) {
    const context = await browser.newContext({ viewport: size });
    const page = await context.newPage();
    await page.addInitScript(notePeers);
    await page.addInitScript(noteSockets);
    await page.goto(url);
    return new PageView(page, kind);
  }

  /** Something is to be seen in the corner where firmware and guests write first. */
  hasPicture = () => this.#page.evaluate(lit);
  /** How many bytes the page has received of the guest so far. */
  received = () => this.#page.evaluate(receivedBytes);
  /** Pixels by the encoding that they came in, as far as the client tells. */
  encodings = () => this.#page.evaluate(() => ({ ...globalThis.sampanEncodings }));
  startProbe = () => this.#start(this.#page);
  stopProbe = () => stopProbe(this.#page);
  clock = () => pageClock(this.#page);
  now = () => this.#page.evaluate(() => performance.now());
  press = (key) => this.#page.keyboard.press(key);
  close = () => this.#page.context().close();

  /** The picture that is shown at these times (ms of the page's clock; now, when they have passed): `{at, width, height, data}`, RGBA. */
  async pictures(times) {
    // They are fetched when all are taken, since that takes longer than the time between two.
    const taken = await this.#page.evaluate(take, times);
    const all = [];
    for (const [index, one] of taken.entries()) {
      const text = await this.#page.evaluate(fetchPicture, index);
      all.push({ ...one, data: Buffer.from(text, "base64") });
    }
    return all;
  }
}

/** Runs in the page before its own code. The sockets stay WebSockets and no more: noVNC looks at their prototype. */
function noteSockets() {
  globalThis.sampanSocketBytes = 0;
  globalThis.WebSocket = new Proxy(WebSocket, {
    construct(target, args) {
      const socket = new target(...args);
      socket.addEventListener("message", ({ data }) => {
        globalThis.sampanSocketBytes += data.byteLength ?? data.size ?? data.length;
      });
      return socket;
    },
  });
}

/** Runs in the page. */
async function receivedBytes() {
  let sum = globalThis.sampanSocketBytes;
  for (const peer of globalThis.sampanPeers) {
    for (const [, one] of await peer.getStats()) if (one.type === "transport") sum += one.bytesReceived;
  }
  return sum;
}

/** Runs in the page. */
function lit() {
  const source = document.querySelector("video") ?? document.querySelector("canvas");
  const [wide, high] = [source?.videoWidth ?? source?.width ?? 0, source?.videoHeight ?? source?.height ?? 0];
  if (!wide || !high) return false;
  const [width, height] = [Math.min(wide, 400), Math.min(high, 100)];
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(source, 0, 0, width, height, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data.some((value, i) => i % 4 !== 3 && value > 40);
}

/** Runs in the page. */
async function take(times) {
  const source = document.querySelector("video") ?? document.querySelector("canvas");
  const [width, height] = [source.videoWidth ?? source.width, source.videoHeight ?? source.height];
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true, alpha: false });
  const taken = [];
  globalThis.sampanPictures = [];
  for (const time of times) {
    const wait = time - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const at = performance.now();
    context.drawImage(source, 0, 0);
    globalThis.sampanPictures.push(context.getImageData(0, 0, width, height).data);
    taken.push({ at, width, height });
  }
  return taken;
}

/** Runs in the page. */
function fetchPicture(index) {
  const reader = new FileReader();
  const text = new Promise((resolve) => reader.addEventListener("load", () => resolve(reader.result.slice(reader.result.indexOf(",") + 1))));
  reader.readAsDataURL(new Blob([globalThis.sampanPictures[index]]));
  globalThis.sampanPictures[index] = undefined;
  return text;
}
