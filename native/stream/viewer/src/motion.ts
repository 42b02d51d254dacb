/**
 * Sends pointer motion no oftener than the display draws: the first change at once, what follows
 * within the same frame as one message at its end. Nothing on the motion channel is resent, so the
 * last message is repeated once when the pointer comes to rest.
 *
 * Fingers do the same, each for itself; where one comes down and goes up is sent on the reliable channel.
 */
import type { FingerMessage, MotionMessage, MoveMessage, RelativeMessage } from "./messages.ts";

/** How time reaches this module. */
export interface Clock {
  /** Calls back once before the next repaint. */
  frame(callback: () => void): void;
  /** Calls back after so many milliseconds; the result calls it off. */
  later(ms: number, callback: () => void): () => void;
}

/** After so long without motion the last message is repeated. */
export const SETTLE_MS = 100;

type Latest =
  | { readonly t: "move"; readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  | { readonly t: "rel"; readonly dx: number; readonly dy: number };

export class MotionSender {
  readonly #send: (message: MotionMessage) => void;
  readonly #clock: Clock;
  #sequence = 0;
  #totalX = 0;
  #totalY = 0;
  #latest: Latest | undefined;
  #unsent = false;
  #frameRequested = false;
  #callOff: (() => void) | undefined;

  constructor(send: (message: MotionMessage) => void, clock: Clock) {
    this.#send = send;
    this.#clock = clock;
  }

  /** The pointer is at this pixel of a frame `w` × `h`. */
  moveTo(x: number, y: number, w: number, h: number): void {
    const last = this.#latest;
    if (last?.t === "move" && last.x === x && last.y === y && last.w === w && last.h === h) return;
    this.#offer({ t: "move", x, y, w, h });
  }

  /** The pointer went this far; fractions add up. */
  moveBy(dx: number, dy: number): void {
    if (dx === 0 && dy === 0) return;
    this.#totalX += dx;
    this.#totalY += dy;
    this.#offer({ t: "rel", dx: Math.trunc(this.#totalX), dy: Math.trunc(this.#totalY) });
  }

  /** The latest motion, to be sent on the reliable channel just before a button. */
  take(): MoveMessage | RelativeMessage | undefined {
    this.#unsent = false;
    return this.#latest === undefined ? undefined : this.#number(this.#latest);
  }

  /** Begins a new connection: sequence numbers and totals start again. */
  reset(): void {
    this.#sequence = 0;
    this.#totalX = 0;
    this.#totalY = 0;
    this.#latest = undefined;
    this.#unsent = false;
    this.#callOff?.();
    this.#callOff = undefined;
  }

  #offer(latest: Latest): void {
    this.#latest = latest;
    this.#unsent = true;
    if (this.#frameRequested) return;
    this.#flush();
    this.#awaitFrame();
  }

  #awaitFrame(): void {
    this.#frameRequested = true;
    this.#clock.frame(() => {
      this.#frameRequested = false;
      if (!this.#unsent) return;
      this.#flush();
      this.#awaitFrame();
    });
  }

  #flush(): void {
    const message = this.take();
    if (message === undefined) return;
    this.#send(message);
    this.#callOff?.();
    this.#callOff = this.#clock.later(SETTLE_MS, () => {
      const again = this.take();
      if (again !== undefined) this.#send(again);
    });
  }

  #number(latest: Latest): MoveMessage | RelativeMessage {
    this.#sequence += 1;
    return { ...latest, s: this.#sequence };
  }
}

type Place = Omit<FingerMessage, "s" | "t">;

export class FingerSender {
  readonly #send: (message: MotionMessage) => void;
  readonly #clock: Clock;
  /** The fingers that have moved since they were sent, by slot. */
  readonly #moved = new Map<number, Place>();
  /** Where the fingers were last, to be repeated at rest. */
  readonly #last = new Map<number, Place>();
  #sequence = 0;
  #frameRequested = false;
  #callOff: (() => void) | undefined;

  constructor(send: (message: MotionMessage) => void, clock: Clock) {
    this.#send = send;
    this.#clock = clock;
  }

  /** A finger that is down moves. */
  moveTo(slot: number, x: number, y: number, w: number, h: number): void {
    this.#moved.set(slot, { slot, x, y, w, h });
    if (!this.#frameRequested) this.#flush();
  }

  /** A finger comes down or goes up: what is to be sent on the reliable channel. */
  edge(slot: number, x: number, y: number, w: number, h: number): FingerMessage {
    this.#moved.delete(slot);
    this.#last.delete(slot);
    return this.#number({ slot, x, y, w, h });
  }

  /** Begins a new connection. */
  reset(): void {
    this.#sequence = 0;
    this.#moved.clear();
    this.#last.clear();
    this.#callOff?.();
    this.#callOff = undefined;
  }

  #flush(): void {
    for (const [slot, place] of this.#moved) {
      this.#send(this.#number(place));
      this.#last.set(slot, place);
    }
    this.#moved.clear();
    this.#callOff?.();
    this.#callOff = this.#clock.later(SETTLE_MS, () => {
      for (const place of this.#last.values()) this.#send(this.#number(place));
      this.#last.clear();
    });
    this.#frameRequested = true;
    this.#clock.frame(() => {
      this.#frameRequested = false;
      if (this.#moved.size > 0) this.#flush();
    });
  }

  #number(place: Place): FingerMessage {
    this.#sequence += 1;
    return { t: "touch", s: this.#sequence, ...place };
  }
}
