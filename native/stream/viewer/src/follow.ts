/** Asks the guest for the resolution that fills the window, once the window has come to rest. */
import { millimetres, wantedSize } from "./geometry.ts";
import type { Size } from "./geometry.ts";
import type { KeysMessage } from "./messages.ts";

/** A window being dragged is not worth a mode change in the guest at every step. */
const DEBOUNCE_MS = 150;
const STORAGE_KEY = "sampan.follow";

export class Follow {
  readonly #stageSize: () => Size;
  readonly #send: (message: KeysMessage) => void;
  #enabled = load();
  #timer: number | undefined;
  #sent = "";

  constructor(stageSize: () => Size, send: (message: KeysMessage) => void) {
    this.#stageSize = stageSize;
    this.#send = send;
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  toggle(): void {
    this.#enabled = !this.#enabled;
    save(this.#enabled);
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

  now(): void {
    window.clearTimeout(this.#timer);
    if (!this.#enabled || document.visibilityState === "hidden") return;
    const stage = this.#stageSize();
    if (stage.width < 1 || stage.height < 1) return;
    const { width: w, height: h } = wantedSize(stage, window.devicePixelRatio);
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

function save(enabled: boolean): void {
  try {
    localStorage.setItem(STORAGE_KEY, enabled ? "yes" : "no");
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}
