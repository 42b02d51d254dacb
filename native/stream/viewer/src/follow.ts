/** Asks the guest for the resolution that fills the window, once the window has come to rest. */
import { millimetres, wantedSize } from "./geometry.ts";
import type { Size } from "./geometry.ts";
import type { KeysMessage } from "./messages.ts";

/** A window being dragged is not worth a mode change in the guest at every step. */
const DEBOUNCE_MS = 150;
const STORAGE_KEY = "sampan.follow";
const SCALE_KEY = "sampan.contents";

/** How large a guest's pixel is, in pixels of the display. */
export const CONTENT_SCALES = ["1", "1.5", "2", "3"] as const;
export type ContentScale = (typeof CONTENT_SCALES)[number];

export class Follow {
  readonly #stageSize: () => Size;
  readonly #send: (message: KeysMessage) => void;
  #enabled = load();
  #scale = loadScale();
  #timer: number | undefined;
  #sent = "";

  constructor(stageSize: () => Size, send: (message: KeysMessage) => void) {
    this.#stageSize = stageSize;
    this.#send = send;
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  get scale(): ContentScale {
    return this.#scale;
  }

  setScale(scale: ContentScale): void {
    this.#scale = scale;
    store(SCALE_KEY, scale);
    this.now();
  }

  toggle(): void {
    this.#enabled = !this.#enabled;
    store(STORAGE_KEY, this.#enabled ? "yes" : "no");
    this.now();
  }

  /** The window changed size, or moved to a display with other pixels. */
  soon(): void {
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.now(), DEBOUNCE_MS);
  }

  /** A new connection: the server knows nothing of our size. */
  restart(): void {
    this.#sent = "";
    this.now();
  }

  /** The guest has nothing connected to the display yet: a size connects it, also where the guest's is not to follow the window. */
  connect(): void {
    this.#sent = "";
    this.#ask();
  }

  now(): void {
    window.clearTimeout(this.#timer);
    if (this.#enabled) this.#ask();
  }

  #ask(): void {
    if (document.visibilityState === "hidden") return;
    const stage = this.#stageSize();
    if (stage.width < 1 || stage.height < 1) return;
    const { width: w, height: h } = wantedSize(stage, window.devicePixelRatio / Number(this.#scale));
    const { width: mmw, height: mmh } = millimetres(stage);
    const key = `${w}x${h}`;
    if (key === this.#sent) return;
    this.#sent = key;
    this.#send({ t: "resize", w, h, mmw, mmh });
  }
}

function load(): boolean {
  try {
    return localStorage.getItem(STORAGE_KEY) !== "no";
  } catch {
    return true;
  }
}

/** On the dense display of a phone a desktop at one pixel to one is too small for eyes and fingers. */
function loadScale(): ContentScale {
  const small = matchMedia("(pointer: coarse)").matches && window.devicePixelRatio >= 2;
  const usual = small ? "2" : "1";
  try {
    const stored = localStorage.getItem(SCALE_KEY);
    return CONTENT_SCALES.find((scale) => scale === stored) ?? usual;
  } catch {
    return usual;
  }
}

function store(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}
