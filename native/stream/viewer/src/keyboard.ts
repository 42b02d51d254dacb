/** Sends every key to the guest while the screen has the focus, and lets go of all when it loses it. */
import { AltGrFilter } from "./altgr.ts";
import { KeyState } from "./keystate.ts";
import { LockSync } from "./locks.ts";
import { textMessages } from "./messages.ts";
import type { KeysMessage } from "./messages.ts";
import type { Modifier, Sticky } from "./sticky.ts";

export interface KeyboardEvents {
  send(message: KeysMessage): void;
  /** Ctrl, Alt and Shift together: the person wants to leave the screen. */
  leave(): void;
}

/** Keyboards of phones name these keys but not their places. */
const NAMED: Readonly<Record<string, string>> = {
  Enter: "Enter", Backspace: "Backspace", Tab: "Tab", Escape: "Escape", Delete: "Delete", Insert: "Insert",
  Home: "Home", End: "End", PageUp: "PageUp", PageDown: "PageDown",
  ArrowLeft: "ArrowLeft", ArrowRight: "ArrowRight", ArrowUp: "ArrowUp", ArrowDown: "ArrowDown",
};

/** Every key event while an input method deals with the key. */
const IN_COMPOSITION = 229;

const system = navigator.userAgent;
const WINDOWS = /Windows/.test(system);
const APPLE = /Mac OS X|iPhone|iPad/.test(system);

export class Keyboard {
  readonly #state = new KeyState();
  readonly #locks = new LockSync();
  readonly #events: KeyboardEvents;
  readonly #sticky: Sticky;
  readonly #altGr = new AltGrFilter((code) => this.#press(code), (ms, then) => {
    const timer = window.setTimeout(then, ms);
    return () => window.clearTimeout(timer);
  });
  /** The screen, and the text field beside it. */
  readonly #places: readonly HTMLElement[];

  constructor(places: readonly HTMLElement[], sticky: Sticky, events: KeyboardEvents) {
    this.#places = places;
    this.#sticky = sticky;
    this.#events = events;
    for (const place of places) {
      place.addEventListener("keydown", (event) => this.#keyDown(event));
      place.addEventListener("keyup", (event) => this.#keyUp(event));
      place.addEventListener("blur", (event) => {
        if (!places.includes(event.relatedTarget as HTMLElement)) this.release();
      });
    }
    window.addEventListener("blur", () => this.release());
    window.addEventListener("pagehide", () => this.release());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden") this.release();
    });
  }

  /** Whether keys go to the guest now. */
  get focused(): boolean {
    return this.#places.includes(document.activeElement as HTMLElement);
  }

  /** Presses keys in order and lets go of them in reverse. */
  tap(codes: readonly string[]): void {
    this.hold(codes, true);
    this.hold(codes, false);
  }

  /** Presses keys in order, or lets go of them in reverse. Modifiers that are held anyway stay so. */
  hold(codes: readonly string[], down: boolean): void {
    const own = codes.filter((code) => this.#sticky.how(code as Modifier) === "off");
    for (const code of down ? own : [...own].reverse()) {
      if (down) {
        this.#locks.pressed(code);
        this.#press(code);
      } else {
        this.#let(code);
      }
    }
    if (!down) this.used();
  }

  /** A modifier of the on-screen keys was tapped. */
  modify(modifier: Modifier): void {
    const { down, up } = this.#sticky.tap(modifier, performance.now());
    if (down) this.#press(modifier);
    if (up) this.#let(modifier);
  }

  /** Types what no key here made. */
  text(text: string): void {
    for (const message of textMessages(text)) this.#events.send(message);
    this.used();
  }

  /** Something was done with the modifiers that were meant for one thing. */
  used(): void {
    for (const modifier of this.#sticky.used()) this.#let(modifier);
  }

  /** Lets go of everything that is down in the guest. */
  release(): void {
    this.#forget();
    // Sent even if nothing is known to be down: buttons and touches go as well.
    this.#events.send({ t: "release" });
  }

  /** Forgets what was down: a new connection starts with nothing. */
  reset(): void {
    this.#forget();
    this.#locks.reset();
  }

  /** The guest's locks. */
  locks(caps: boolean, num: boolean): void {
    this.#locks.told(caps, num);
  }

  #forget(): void {
    this.#state.clear();
    this.#altGr.reset();
    this.#sticky.clear();
  }

  #press(code: string): void {
    for (const key of this.#state.press(code)) this.#events.send({ t: "key", ...key });
  }

  /** True if it was down. */
  #let(code: string): boolean {
    const up = this.#state.release(code);
    for (const key of up) this.#events.send({ t: "key", ...key });
    return up.length > 0;
  }

  #keyDown(event: KeyboardEvent): void {
    // An input method composes text of several keys; its keydowns are not keys of the guest.
    if (event.isComposing || event.keyCode === IN_COMPOSITION) return;
    const code = codeOf(event);
    // What has no place is written into the text field, and sent from there.
    if (code === "" && event.target instanceof HTMLTextAreaElement) return;
    event.preventDefault();
    event.stopPropagation();
    if (code === "CapsLock" && APPLE) return this.#tapCapsLock();
    if (WINDOWS && this.#altGr.down(code, event.timeStamp)) return;
    if (!event.repeat) {
      this.#locks.pressed(code);
      for (const lock of this.#locks.before(event)) {
        this.#press(lock);
        this.#let(lock);
      }
    }
    this.#press(code);
  }

  #keyUp(event: KeyboardEvent): void {
    if (event.isComposing || event.keyCode === IN_COMPOSITION) return;
    event.preventDefault();
    event.stopPropagation();
    const code = codeOf(event);
    // macOS tells of Caps Lock's going on as its press, and of its going off as its release.
    if (code === "CapsLock" && APPLE) return this.#tapCapsLock();
    if (WINDOWS) this.#altGr.up(code);
    const leave = this.#state.takeLeaveChord();
    // A key that was never down here is one that an input method had.
    if (this.#let(code) && !this.#sticky.isModifier(code)) this.used();
    if (leave) this.#events.leave();
  }

  #tapCapsLock(): void {
    this.#locks.pressed("CapsLock");
    this.#press("CapsLock");
    this.#let("CapsLock");
  }
}

function codeOf(event: KeyboardEvent): string {
  const named = event.code !== "" && event.code !== "Unidentified";
  return named ? event.code : (NAMED[event.key] ?? "");
}
