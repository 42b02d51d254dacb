/** Gives each finger on the screen the lowest free slot, as a touch screen does. */

/** Linux and QEMU know this many. */
export const MOST_SLOTS = 10;

export class TouchSlots {
  readonly #slots = new Map<number, number>();

  /** The slot of a finger that came down; undefined when all are taken. */
  begin(pointer: number): number | undefined {
    const taken = new Set(this.#slots.values());
    for (let slot = 0; slot < MOST_SLOTS; slot++) {
      if (taken.has(slot)) continue;
      this.#slots.set(pointer, slot);
      return slot;
    }
    return undefined;
  }

  get(pointer: number): number | undefined {
    return this.#slots.get(pointer);
  }

  end(pointer: number): number | undefined {
    const slot = this.#slots.get(pointer);
    this.#slots.delete(pointer);
    return slot;
  }

  clear(): void {
    this.#slots.clear();
  }
}
