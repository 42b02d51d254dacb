/**
 * Keeps Caps Lock and Num Lock of the guest like those of the person's keyboard. What is known of the guest's are its
 * keyboard's LEDs, and what was pressed since; a guest that shows none is taken to begin without Caps Lock.
 */

/** The fields of a `KeyboardEvent` that matter here. */
export interface LockEvent {
  readonly code: string;
  readonly key: string;
  readonly shiftKey: boolean;
  getModifierState(name: string): boolean;
}

const LETTER = /^\p{L}$/u;
const KEYPAD = /^Numpad(\d|Decimal)$/;
const DIGIT = /^[\d.,]$/;

export class LockSync {
  #caps = false;
  #num: boolean | undefined;

  /** The guest's LEDs. */
  told(caps: boolean, num: boolean): void {
    this.#caps = caps;
    this.#num = num;
  }

  /** A lock key goes to the guest. */
  pressed(code: string): void {
    if (code === "CapsLock") this.#caps = !this.#caps;
    if (code === "NumLock" && this.#num !== undefined) this.#num = !this.#num;
  }

  /** The lock keys to press before this key, so that it means in the guest what it means here. */
  before(event: LockEvent): string[] {
    const first: string[] = [];
    if (LETTER.test(event.key) && event.getModifierState("CapsLock") !== this.#caps) first.push("CapsLock");
    // By what the key types, since not every system has a Num Lock. Shift turns its meaning round in some.
    if (KEYPAD.test(event.code) && !event.shiftKey && this.#num !== undefined && DIGIT.test(event.key) !== this.#num) {
      first.push("NumLock");
    }
    for (const code of first) this.pressed(code);
    return first;
  }

  /** A new connection, perhaps to another guest. */
  reset(): void {
    this.#caps = false;
    this.#num = undefined;
  }
}
