/** Fingers: which slot each has, as on a touch screen, and what the person wants them to do. */
import type { TouchMode } from "./gestures.ts";

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

const STORAGE_KEY = "sampan.touch";

export function loadTouchMode(): TouchMode {
  try {
    return localStorage.getItem(STORAGE_KEY) === "trackpad" ? "trackpad" : "direct";
  } catch {
    return "direct";
  }
}

export function saveTouchMode(mode: TouchMode): void {
  try {
    localStorage.setItem(STORAGE_KEY, mode);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}
