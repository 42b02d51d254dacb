/** The bar at the top edge: state in words and the page's few controls. It hides when not needed. */
import { element, icon, iconButton } from "./dom.ts";
import type { IconName } from "./dom.ts";
import type { SoundState } from "./sound.ts";
import { strings } from "./strings.ts";

const HIDE_AFTER_MS = 2500;
/** The bar comes back when the pointer is this near to the upper edge. */
const EDGE_PX = 4;

export interface ToolbarActions {
  /** Each returns whether its thing is now on. */
  write(): boolean;
  keys(): boolean;
  more(): boolean;
  /** What becomes of them is told by `setSound`. */
  hear(): void;
  speak(): void;
  leaveToolbar(): void;
}

export class Toolbar {
  readonly root: HTMLElement;
  readonly #state = element("span", { class: "state", role: "status", "aria-live": "polite" });
  readonly #recording = element("span", { class: "recording", role: "img", "aria-label": strings.recording, hidden: true });
  readonly #handle = element("button", {
    class: "handle",
    type: "button",
    title: strings.toolbarLabel,
    "aria-label": strings.toolbarLabel,
  });
  readonly #bar: HTMLElement;
  readonly #write: HTMLButtonElement;
  readonly #more: HTMLButtonElement;
  readonly #hear = iconButton("silent", strings.sound.button);
  readonly #speak = iconButton("microphone", strings.sound.microphone);
  #timer: number | undefined;
  #pinned = true;

  constructor(actions: ToolbarActions) {
    const fullscreen = iconButton("fullscreen", strings.fullscreen);
    fullscreen.addEventListener("click", () => void toggleFullscreen());
    // iPhones have none for pages.
    fullscreen.hidden = !document.fullscreenEnabled;
    this.#write = toggle("write", strings.write, "aria-pressed", actions.write);
    const keys = toggle("keys", strings.keys, "aria-expanded", actions.keys);
    keys.setAttribute("aria-controls", "keys");
    this.#more = toggle("more", strings.more, "aria-expanded", actions.more);
    this.#more.setAttribute("aria-controls", "menu");
    this.#hear.addEventListener("click", () => actions.hear());
    this.#speak.addEventListener("click", () => actions.speak());
    this.setSound({ card: false, hears: false, drives: false, speaks: false });
    this.#bar = element(
      "div",
      { class: "bar", role: "toolbar", "aria-label": strings.toolbarLabel },
      this.#recording,
      this.#state,
      this.#hear,
      this.#speak,
      this.#write,
      keys,
      this.#more,
      fullscreen,
    );
    this.root = element("header", { class: "toolbar" }, this.#bar, this.#handle);
    // A click here leaves the focus, and so the keys that are down, on the screen. Lists and sliders need theirs.
    this.root.addEventListener("mousedown", (event) => {
      if (!(event.target instanceof HTMLSelectElement || event.target instanceof HTMLInputElement)) event.preventDefault();
    });
    this.root.addEventListener("keydown", (event) => {
      if (event.key === "Escape") actions.leaveToolbar();
    });
    this.root.addEventListener("pointerenter", () => this.reveal());
    this.root.addEventListener("focusin", () => this.reveal());
    this.#handle.addEventListener("click", () => this.reveal());
    window.addEventListener("pointermove", (event) => {
      if (event.clientY < EDGE_PX && document.pointerLockElement === null) this.reveal();
    });
    document.addEventListener("fullscreenchange", () => {
      const label = document.fullscreenElement ? strings.leaveFullscreen : strings.fullscreen;
      fullscreen.title = label;
      fullscreen.setAttribute("aria-label", label);
      if (!document.fullscreenElement) unlockKeyboard();
    });
  }

  /** Says how things are; `lasting` keeps the bar on screen. */
  say(text: string, lasting: boolean): void {
    if (this.#state.textContent === text && this.#pinned === lasting) return;
    this.#state.textContent = text;
    this.#state.title = text;
    this.#pinned = lasting;
    this.reveal();
  }

  /** Whether text is written by this device's input method. */
  setWriting(on: boolean): void {
    this.#write.setAttribute("aria-pressed", String(on));
  }

  /** A machine without a sound card has no such buttons, and who does not drive no microphone. */
  setSound({ card, hears, drives, speaks }: SoundState): void {
    this.#hear.hidden = !card;
    this.#hear.setAttribute("aria-pressed", String(hears));
    this.#hear.replaceChildren(icon(hears ? "sound" : "silent"));
    this.#speak.hidden = !card || !drives;
    this.#speak.setAttribute("aria-pressed", String(speaks));
    this.#speak.classList.toggle("live", speaks);
  }

  menuClosed(): void {
    this.#more.setAttribute("aria-expanded", "false");
  }

  setRecording(on: boolean): void {
    this.#recording.hidden = !on;
    if (on) this.reveal();
  }

  reveal(): void {
    this.root.classList.remove("away");
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.#hide(), HIDE_AFTER_MS);
  }

  /** Moves the keyboard here: the way out of the screen. */
  focus(): void {
    this.reveal();
    this.root.querySelector<HTMLElement>("button:not([hidden])")?.focus();
  }

  #hide(): void {
    // What a finger has tapped stays "hovered" until it taps elsewhere.
    const hovered = matchMedia("(hover: hover)").matches && this.root.matches(":hover");
    const busy = this.#pinned || hovered || this.root.matches(":focus-within")
      || this.#more.getAttribute("aria-expanded") === "true";
    this.root.classList.toggle("away", !busy);
    if (busy) this.#timer = window.setTimeout(() => this.#hide(), HIDE_AFTER_MS);
  }
}

/** A button of which the attribute says whether its thing is on. */
function toggle(name: IconName, label: string, says: string, act: () => boolean): HTMLButtonElement {
  const button = iconButton(name, label);
  button.setAttribute(says, "false");
  button.addEventListener("click", () => button.setAttribute(says, String(act())));
  return button;
}

/** Chromium can give a page the system's keys while it fills the screen. */
interface KeyboardLock {
  lock?: () => Promise<void>;
  unlock?: () => void;
}

function keyboardLock(): KeyboardLock | undefined {
  return (navigator as Navigator & { keyboard?: KeyboardLock }).keyboard;
}

function unlockKeyboard(): void {
  keyboardLock()?.unlock?.();
}

async function toggleFullscreen(): Promise<void> {
  try {
    if (document.fullscreenElement) {
      await document.exitFullscreen();
    } else {
      await document.documentElement.requestFullscreen({ navigationUI: "hide" });
      await keyboardLock()?.lock?.();
    }
  } catch (error) {
    console.warn("sampan: full screen is not to be had:", error);
  }
}
