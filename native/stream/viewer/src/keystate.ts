/** Which keys are down, by DOM `code` (the place of the key, not what is printed on it). */

export interface KeyEvent {
  readonly code: string;
  readonly down: boolean;
}

/** macOS sends no keyup for other keys while one of these is held. */
const SWALLOWS_KEYUPS: readonly string[] = ["MetaLeft", "MetaRight"];

const MODIFIER = /^(Control|Shift|Alt|Meta)(Left|Right)$/;

export class KeyState {
  readonly #down = new Set<string>();
  #onlyChord = false;

  /** A key went down or repeats. Events without a code (an input method's) are nobody's key. */
  press(code: string): KeyEvent[] {
    if (code === "" || code === "Unidentified") return [];
    this.#down.add(code);
    this.#onlyChord = this.#isLeaveChord();
    // Repeats are passed on: a guest with a PS/2 keyboard takes them from the keyboard.
    return [{ code, down: true }];
  }

  /** A key went up. One that was never seen down is not passed on. */
  release(code: string): KeyEvent[] {
    const up: KeyEvent[] = [];
    if (this.#down.delete(code)) up.push({ code, down: false });
    if (SWALLOWS_KEYUPS.includes(code)) {
      for (const other of [...this.#down]) {
        if (MODIFIER.test(other)) continue;
        this.#down.delete(other);
        up.push({ code: other, down: false });
      }
    }
    return up;
  }

  /** Forgets every key; the caller tells the server to release them. True if any was down. */
  clear(): boolean {
    const any = this.#down.size > 0;
    this.#down.clear();
    this.#onlyChord = false;
    return any;
  }

  /**
   * True once when Ctrl, Alt and Shift were down together and nothing else: the way out of the
   * screen for those who use no mouse. Ask it when a key goes up.
   */
  takeLeaveChord(): boolean {
    const chord = this.#onlyChord;
    this.#onlyChord = false;
    return chord;
  }

  #isLeaveChord(): boolean {
    if (this.#down.size !== 3) return false;
    const held = [...this.#down].map((code) => MODIFIER.exec(code)?.[1]);
    return ["Control", "Alt", "Shift"].every((name) => held.includes(name));
  }
}
