/** How long to wait before the next try: doubling, bounded, with a spread so that many viewers do not all come at once. */

export const FIRST_MS = 250;
export const LONGEST_MS = 8000;

export class Backoff {
  #tries = 0;
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** Milliseconds until the next try. */
  next(): number {
    const full = Math.min(FIRST_MS * 2 ** this.#tries, LONGEST_MS);
    this.#tries += 1;
    return Math.round(full * (0.75 + 0.25 * this.#random()));
  }

  /** Call it once a connection holds. */
  reset(): void {
    this.#tries = 0;
  }
}
