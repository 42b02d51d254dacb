/** Does something again and again while the page is seen, never twice at a time. */

/** What of the browser is needed, so that tests can stand in for it. */
export interface Clock {
  after(ms: number, then: () => void): number;
  cancel(timer: number): void;
}

export const browserClock: Clock = {
  after: (ms, then) => window.setTimeout(then, ms),
  cancel: (timer) => window.clearTimeout(timer),
};

export class Poll {
  #on = false;
  #busy = false;
  #again = false;
  #timer: number | undefined;
  readonly #ask: () => Promise<void>;
  readonly #pauseMs: number;
  readonly #clock: Clock;

  constructor(ask: () => Promise<void>, pauseMs: number, clock: Clock = browserClock) {
    this.#ask = ask;
    this.#pauseMs = pauseMs;
    this.#clock = clock;
  }

  start(): void {
    this.#on = true;
    this.now();
  }

  stop(): void {
    this.#on = false;
    if (this.#timer !== undefined) this.#clock.cancel(this.#timer);
    this.#timer = undefined;
  }

  /** At once, or right after what is under way. */
  now(): void {
    if (!this.#on) return;
    if (this.#busy) {
      this.#again = true;
      return;
    }
    if (this.#timer !== undefined) this.#clock.cancel(this.#timer);
    this.#timer = undefined;
    this.#busy = true;
    void this.#ask().finally(() => {
      this.#busy = false;
      if (!this.#on) return;
      const again = this.#again;
      this.#again = false;
      if (again) this.now();
      else this.#timer = this.#clock.after(this.#pauseMs, () => this.now());
    });
  }
}
