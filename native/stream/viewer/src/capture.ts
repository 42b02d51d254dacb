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
function recordingType(sound: boolean): string | undefined {
  if (typeof MediaRecorder === "undefined") return undefined;
  const codecs = ["vp9", "vp8"].map((picture) => `video/webm;codecs=${sound ? `${picture},opus` : picture}`);
  return [...codecs, "video/webm", "video/mp4"].find((type) => MediaRecorder.isTypeSupported(type));
}

/** What a machine plays, while a recording takes it. */
export interface Recordable {
  /** Has it come from now on, at the machine's own volume; nothing for a machine without a sound card. */
  begin(): MediaStream | undefined;
  end(): void;
  /** The recording has the picture alone, because the browser gives no sound. */
  missing(): void;
}

/** How long a browser may take to begin with sound. The click that records allows it to; one that waits for more waits for ever. */
const SOUND_MS = 2000;

/**
 * A track with the sound of a stream, which goes on where the stream has a pause: a recorder waits with the picture for sound that
 * does not come.
 */
class SoundTrack {
  readonly #context = new AudioContext();
  readonly #out = this.#context.createMediaStreamDestination();

  constructor(stream: MediaStream) {
    this.#context.createMediaStreamSource(stream).connect(this.#out);
  }

  get tracks(): MediaStreamTrack[] {
    return this.#out.stream.getAudioTracks();
  }

  /** Whether it runs. */
  async start(): Promise<boolean> {
    const late = new Promise((resolve) => window.setTimeout(resolve, SOUND_MS));
    await Promise.race([this.#context.resume(), late]);
    return this.#context.state === "running";
  }

  close(): void {
    for (const track of this.tracks) track.stop();
    this.#context.close().catch(() => undefined);
  }
}

async function soundTrack(stream: MediaStream): Promise<SoundTrack | undefined> {
  let track: SoundTrack | undefined;
  try {
    track = new SoundTrack(stream);
    if (await track.start()) return track;
  } catch {
    // A browser without sound.
  }
  track?.close();
  return undefined;
}

/** Parts come so often; they wait in the browser's memory until the end. */
const PART_MS = 1000;

export class Recorder {
  readonly #screen: Screen;
  readonly #sound: Recordable;
  readonly #done: (recording: Blob, kind: string) => void;
  readonly #changed: (recording: boolean) => void;
  #recorder: MediaRecorder | undefined;
  /** Sound is being waited for. */
  #beginning = false;

  constructor(screen: Screen, sound: Recordable, done: (recording: Blob, kind: string) => void, changed: (recording: boolean) => void) {
    this.#screen = screen;
    this.#sound = sound;
    this.#done = done;
    this.#changed = changed;
  }

  static get possible(): boolean {
    return recordingType(false) !== undefined;
  }

  get recording(): boolean {
    return this.#recorder !== undefined;
  }

  /** Begins a recording, or ends it and gives it out. */
  async toggle(): Promise<void> {
    if (this.#recorder !== undefined) {
      this.end();
      return;
    }
    if (this.#beginning || !Recorder.possible) return;
    this.#beginning = true;
    const heard = this.#sound.begin();
    const sound = heard === undefined ? undefined : await soundTrack(heard);
    this.#beginning = false;
    if (heard !== undefined && sound === undefined) this.#sound.missing();
    // Much may have changed meanwhile.
    const shown = this.#screen.video.srcObject;
    const picture = shown instanceof MediaStream ? shown.getVideoTracks() : [];
    const begun = picture.some(({ readyState }) => readyState === "live") && this.#begin(picture, sound);
    if (!begun || sound === undefined) this.#sound.end();
    if (!begun) sound?.close();
  }

  /** The stream is gone: what there is by now is kept. */
  end(): void {
    if (this.#recorder !== undefined && this.#recorder.state !== "inactive") this.#recorder.stop();
  }

  #begin(picture: readonly MediaStreamTrack[], sound: SoundTrack | undefined): boolean {
    const mimeType = recordingType(sound !== undefined);
    if (mimeType === undefined) return false;
    const recorder = new MediaRecorder(new MediaStream([...picture, ...(sound?.tracks ?? [])]), { mimeType });
    const parts: Blob[] = [];
    recorder.addEventListener("dataavailable", ({ data }) => parts.push(data));
    // The sound's track does not end by itself.
    for (const track of picture) track.addEventListener("ended", () => this.end());
    recorder.addEventListener("stop", () => {
      this.#recorder = undefined;
      if (sound !== undefined) {
        sound.close();
        this.#sound.end();
      }
      this.#changed(false);
      const type = mimeType.split(";")[0] ?? mimeType;
      if (parts.some((part) => part.size > 0)) this.#done(new Blob(parts, { type }), type.replace("video/", ""));
    });
    recorder.start(PART_MS);
    this.#recorder = recorder;
    this.#changed(true);
    return true;
  }
}
