/** Pictures and recordings of what the guest shows, kept on this device. */
import { element } from "./dom.ts";
import type { Screen } from "./screen.ts";

/** A picture in the guest's own pixels; undefined before the first one. */
export async function picture(screen: Screen): Promise<Blob | undefined> {
  const { shown, video } = screen;
  if (shown === undefined || video.videoWidth === 0) return undefined;
  const canvas = element("canvas", { width: String(shown.width), height: String(shown.height) });
  // Without the encoder's padding.
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  return (await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"))) ?? undefined;
}

/** Whether the browser lets this page put pictures into the clipboard. */
export function canCopy(): boolean {
  return window.isSecureContext && typeof ClipboardItem === "function" && "clipboard" in navigator;
}

export async function copy(blob: Promise<Blob | undefined>): Promise<void> {
  const found = blob.then((picture) => {
    if (picture === undefined) throw new Error("there is no picture");
    return picture;
  });
  // A promise, so that the browser still knows of the click that allows it.
  await navigator.clipboard.write([new ClipboardItem({ "image/png": found })]);
}

export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: name }).click();
  // The download has its own hold of it by then.
  window.setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** A name for a file of now: what it shows, when, and its kind. */
export function fileName(guest: string, now: Date, kind: string): string {
  const two = (part: number) => String(part).padStart(2, "0");
  const day = [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join("-");
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join("");
  // Names that some file system does not take, and those that begin with a dot.
  const plain = guest.replace(/[\u0000-\u001f<>:"/\\|?*]+/g, "-").replace(/^[.\s-]+|[.\s-]+$/g, "");
  return `${plain || "sampan"} ${day} ${time}.${kind}`;
}

/** The first that the browser can record; none without MediaRecorder. */
function recordingType(): string | undefined {
  if (typeof MediaRecorder === "undefined") return undefined;
  const types = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm", "video/mp4"];
  return types.find((type) => MediaRecorder.isTypeSupported(type));
}

/** Parts come so often; they wait in the browser's memory until the end. */
const PART_MS = 1000;

export class Recorder {
  readonly #screen: Screen;
  readonly #done: (recording: Blob, kind: string) => void;
  readonly #changed: (recording: boolean) => void;
  #recorder: MediaRecorder | undefined;

  constructor(screen: Screen, done: (recording: Blob, kind: string) => void, changed: (recording: boolean) => void) {
    this.#screen = screen;
    this.#done = done;
    this.#changed = changed;
  }

  static get possible(): boolean {
    return recordingType() !== undefined;
  }

  get recording(): boolean {
    return this.#recorder !== undefined;
  }

  /** Begins a recording, or ends it and gives it out. */
  toggle(): void {
    if (this.#recorder !== undefined) {
      this.#recorder.stop();
      return;
    }
    const stream = this.#screen.video.srcObject;
    const mimeType = recordingType();
    if (!(stream instanceof MediaStream) || mimeType === undefined) return;
    const recorder = new MediaRecorder(stream, { mimeType });
    const parts: Blob[] = [];
    recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
    // It also ends with the stream: what there is by then is kept.
    recorder.addEventListener("stop", () => {
      this.#recorder = undefined;
      this.#changed(false);
      const type = mimeType.split(";")[0] ?? mimeType;
      if (parts.some((part) => part.size > 0)) this.#done(new Blob(parts, { type }), type.replace("video/", ""));
    });
    recorder.start(PART_MS);
    this.#recorder = recorder;
    this.#changed(true);
  }
}
