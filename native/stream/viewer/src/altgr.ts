/**
 * Windows tells of AltGr as a left Ctrl that nobody pressed, and then the right Alt. The guest must see the right Alt
 * alone: with Ctrl, its AltGr types nothing. So a left Ctrl waits a moment for what follows.
 */

/** The two come with the same time stamp, or nearly. */
export const TOGETHER_MS = 40;

export class AltGrFilter {
  readonly #press: (code: string) => void;
  readonly #later: (ms: number, then: () => void) => () => void;
  #waiting: { readonly at: number; readonly callOff: () => void } | undefined;
  #altGr = false;

  constructor(press: (code: string) => void, later: (ms: number, then: () => void) => () => void) {
    this.#press = press;
    this.#later = later;
  }

  /** A key went down at a time in milliseconds; true if it is not to be passed on now. */
  down(code: string, at: number): boolean {
    const waiting = this.#waiting;
    if (code === "ControlLeft") {
      // While AltGr is held both repeat.
      if (this.#altGr || waiting !== undefined) return true;
      this.#waiting = { at, callOff: this.#later(TOGETHER_MS, () => this.flush()) };
      return true;
    }
    if (code === "AltRight" && waiting !== undefined && at - waiting.at < TOGETHER_MS) {
      waiting.callOff();
      this.#waiting = undefined;
      this.#altGr = true;
      return false;
    }
    this.flush();
    return false;
  }

  /** A key went up; call it before the key is let go of. */
  up(code: string): void {
    this.flush();
    if (code === "AltRight") this.#altGr = false;
  }

  /** The Ctrl that waits was a real one. */
  flush(): void {
    if (this.#waiting === undefined) return;
    this.#waiting.callOff();
    this.#waiting = undefined;
    this.#press("ControlLeft");
  }

  reset(): void {
    this.#waiting?.callOff();
    this.#waiting = undefined;
    this.#altGr = false;
  }
}
