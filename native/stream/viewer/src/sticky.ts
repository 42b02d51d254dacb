/**
 * Modifiers of the on-screen keys, which fingers cannot hold: a tap presses one for the next thing that is done, a second
 * tap soon after locks it, and another lets go of it.
 */

export const MODIFIERS = ["ControlLeft", "ShiftLeft", "AltLeft", "AltRight", "MetaLeft"] as const;
export type Modifier = (typeof MODIFIERS)[number];

export type Held = "off" | "once" | "locked";

/** Two taps within this lock. */
export const DOUBLE_TAP_MS = 400;

export class Sticky {
  readonly #held = new Map<Modifier, { readonly how: Held; readonly at: number }>();
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  how(modifier: Modifier): Held {
    return this.#held.get(modifier)?.how ?? "off";
  }

  isModifier(code: string): boolean {
    return /^(Control|Shift|Alt|Meta)(Left|Right)$/.test(code);
  }

  /** A tap at a time in milliseconds; what the guest's key has to do. */
  tap(modifier: Modifier, now: number): { readonly down: boolean; readonly up: boolean } {
    const before = this.#held.get(modifier);
    const locks = before?.how === "once" && now - before.at <= DOUBLE_TAP_MS;
    if (before === undefined || locks) {
      this.#held.set(modifier, { how: locks ? "locked" : "once", at: now });
    } else {
      this.#held.delete(modifier);
    }
    this.#changed();
    return { down: before === undefined, up: before !== undefined && !locks };
  }

  /** Something was done: the modifiers that were for this alone, which are to be let go of. */
  used(): Modifier[] {
    const over = [...this.#held].filter(([, { how }]) => how === "once").map(([modifier]) => modifier);
    for (const modifier of over) this.#held.delete(modifier);
    if (over.length > 0) this.#changed();
    return over;
  }

  /** All were let go of. */
  clear(): void {
    if (this.#held.size === 0) return;
    this.#held.clear();
    this.#changed();
  }
}
