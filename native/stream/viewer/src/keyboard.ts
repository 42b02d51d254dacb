/** Sends every key to the guest while the screen has the focus, and lets go of all when it loses it. */
import type { KeysMessage } from "./messages.ts";
import { KeyState } from "./keystate.ts";

export interface KeyboardEvents {
  send(message: KeysMessage): void;
  /** Ctrl, Alt and Shift together: the person wants to leave the screen. */
  leave(): void;
}

export class Keyboard {
  readonly #state = new KeyState();
  readonly #events: KeyboardEvents;

  constructor(surface: HTMLElement, events: KeyboardEvents) {
    this.#events = events;
    surface.addEventListener("keydown", (event) => this.#keyDown(event));
    surface.addEventListener("keyup", (event) => this.#keyUp(event));
    surface.addEventListener("blur", () => this.release());
    window.addEventListener("blur", () => this.release());
    window.addEventListener("pagehide", () => this.release());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden") this.release();
    });
  }

  /** Presses keys in order and lets go of them in reverse: the special-keys menu. */
  tap(codes: readonly string[]): void {
    for (const code of codes) this.#events.send({ t: "key", code, down: true });
    for (const code of [...codes].reverse()) this.#events.send({ t: "key", code, down: false });
  }

  /** Holds a key down or lets it go: a modifier of the special-keys menu. */
  hold(code: string, down: boolean): void {
    for (const event of down ? this.#state.press(code) : this.#state.release(code)) {
      this.#events.send({ t: "key", ...event });
    }
  }

  /** Lets go of everything that is down in the guest. */
  release(): void {
    this.#state.clear();
    // Sent even if nothing is known to be down: buttons and touches go as well.
    this.#events.send({ t: "release" });
  }

  /** Forgets what was down: a new connection starts with nothing. */
  reset(): void {
    this.#state.clear();
  }

  #keyDown(event: KeyboardEvent): void {
    // An input method composes text of several keys; its keydowns are not keys of the guest.
    if (event.isComposing) return;
    event.preventDefault();
    event.stopPropagation();
    for (const key of this.#state.press(event.code)) this.#events.send({ t: "key", ...key });
  }

  #keyUp(event: KeyboardEvent): void {
    event.preventDefault();
    event.stopPropagation();
    const leave = this.#state.takeLeaveChord();
    for (const key of this.#state.release(event.code)) this.#events.send({ t: "key", ...key });
    if (leave) this.#events.leave();
  }
}
