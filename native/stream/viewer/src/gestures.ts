/**
 * What fingers mean for a guest that has a pointer and no touch screen: pure, so that each gesture is tested.
 *
 * `direct`: the pointer is where the finger is. `trackpad`: the finger moves the pointer as on a laptop. In both, a tap
 * clicks, a long press is the right button, two fingers turn the wheel or zoom the view, and three call the keyboard.
 */
import type { Point } from "./geometry.ts";

export type TouchMode = "direct" | "trackpad";

export interface GestureActions {
  /** The pointer goes to this point of the window. */
  moveTo(at: Point): void;
  /** The pointer goes this far, in CSS pixels. */
  moveBy(dx: number, dy: number): void;
  button(button: number, down: boolean): void;
  /** The content follows the fingers by so many CSS pixels. */
  scroll(dx: number, dy: number): void;
  /** The view grows by a factor around a point of the window, and goes with the fingers. */
  zoom(factor: number, at: Point, by: Point): void;
  keyboard(): void;
  /** Something happened that the finger does not see. */
  buzz(): void;
}

/** Calls back after so many milliseconds; the result calls it off. */
export type Later = (ms: number, then: () => void) => () => void;

/** Fingers shake this much, in CSS pixels. */
const SLOP = 10;
/** A trackpad's pointer may start sooner. */
const PAD_SLOP = 4;
export const LONG_PRESS_MS = 500;
/** A tap's button stays down this long: a finger that comes back within it drags. */
export const TAP_DRAG_MS = 220;
/** Two fingers that come this much nearer or farther zoom. */
const PINCH_SLOP = 24;
/** A fast finger goes farther than a slow one. */
const MOST_ACCELERATION = 3;

const LEFT = 0;
const RIGHT = 2;

type State =
  | "idle"
  /** One finger, which may become anything. */
  | "one"
  /** It moves the pointer. */
  | "moving"
  /** It moves the pointer with a button down. */
  | "dragging"
  | "two"
  | "scrolling"
  | "pinching"
  | "three"
  /** Whatever was meant is done; nothing more until all fingers are up. */
  | "over";

interface Finger {
  readonly start: Point;
  at: Point;
}

export class Gestures {
  mode: TouchMode = "direct";
  readonly #actions: GestureActions;
  readonly #later: Later;
  readonly #fingers = new Map<number, Finger>();
  #state: State = "idle";
  /** The button that is down. */
  #button: number | undefined;
  #callOff: (() => void) | undefined;
  /** The tap before is still a press: this finger may drag with it. */
  #tapped: (() => void) | undefined;
  #resumed = false;

  constructor(actions: GestureActions, later: Later) {
    this.#actions = actions;
    this.#later = later;
  }

  down(id: number, at: Point): void {
    this.#fingers.set(id, { start: at, at });
    this.#stopWaiting();
    switch (this.#fingers.size) {
      case 1:
        this.#first(at);
        break;
      case 2:
        if (this.#state === "one") this.#state = "two";
        else if (this.#state === "moving") this.#state = "over";
        break;
      default:
        if (this.#state === "one" || this.#state === "two") this.#state = "three";
    }
    if (this.#state !== "one") this.#endTap();
  }

  move(id: number, at: Point): void {
    const finger = this.#fingers.get(id);
    if (finger === undefined) return;
    const before = finger.at;
    const centre = this.#centre();
    const spread = this.#spread();
    finger.at = at;
    switch (this.#state) {
      case "one":
        if (distance(finger.start, at) > (this.mode === "direct" ? SLOP : PAD_SLOP)) this.#begin(finger);
        break;
      case "moving":
      case "dragging":
        this.#follow(before, at);
        break;
      case "two":
        this.#decide();
        break;
      case "scrolling": {
        const now = this.#centre();
        this.#actions.scroll(now.x - centre.x, now.y - centre.y);
        break;
      }
      case "pinching": {
        const now = this.#centre();
        const factor = spread === 0 ? 1 : this.#spread() / spread;
        this.#actions.zoom(factor, centre, { x: now.x - centre.x, y: now.y - centre.y });
        break;
      }
      case "three":
        if (distance(finger.start, at) > PINCH_SLOP) this.#state = "over";
        break;
      default:
        break;
    }
  }

  up(id: number): void {
    const finger = this.#fingers.get(id);
    if (finger === undefined || !this.#fingers.delete(id)) return;
    this.#stopWaiting();
    switch (this.#state) {
      case "one":
        this.#tap();
        break;
      case "two":
        // The second finger that goes up finds it done.
        this.#click(RIGHT);
        this.#state = "over";
        break;
      case "three":
        this.#actions.keyboard();
        this.#state = "over";
        break;
      case "dragging":
        if (this.#fingers.size === 0) this.#let();
        break;
      case "scrolling":
      case "pinching":
        this.#state = "over";
        break;
      default:
        break;
    }
    if (this.#fingers.size === 0) this.#state = "idle";
  }

  /** The system took the fingers away: nothing of it is meant any more. */
  cancel(): void {
    this.#stopWaiting();
    this.#endTap();
    this.#fingers.clear();
    this.#let();
    this.#state = "idle";
  }

  /** Buttons were let go of elsewhere. */
  forget(): void {
    this.#stopWaiting();
    this.#tapped?.();
    this.#tapped = undefined;
    this.#button = undefined;
    this.#fingers.clear();
    this.#state = "idle";
  }

  #first(at: Point): void {
    this.#state = "one";
    this.#resumed = this.#tapped !== undefined;
    this.#tapped?.();
    if (this.mode === "direct") {
      this.#endTap();
      this.#resumed = false;
      this.#actions.moveTo(at);
    }
    this.#callOff = this.#later(LONG_PRESS_MS, () => {
      this.#endTap();
      this.#actions.buzz();
      this.#press(RIGHT);
      this.#state = "dragging";
    });
  }

  /** One finger has begun to move. */
  #begin(finger: Finger): void {
    this.#stopWaiting();
    if (this.mode === "direct") {
      this.#press(LEFT);
      this.#state = "dragging";
    } else {
      // The press of the tap before goes on.
      this.#tapped = undefined;
      this.#state = this.#resumed ? "dragging" : "moving";
    }
    this.#follow(finger.start, finger.at);
  }

  #follow(from: Point, to: Point): void {
    if (this.mode === "direct") {
      this.#actions.moveTo(to);
      return;
    }
    const far = distance(from, to);
    const faster = Math.min(1 + far / 12, MOST_ACCELERATION);
    this.#actions.moveBy((to.x - from.x) * faster, (to.y - from.y) * faster);
  }

  #tap(): void {
    if (this.#resumed) {
      // The second tap of two: the first one's press ends, and this one is a click of its own.
      this.#endTap();
      this.#click(LEFT);
      return;
    }
    if (this.mode === "direct") {
      this.#click(LEFT);
      return;
    }
    this.#press(LEFT);
    this.#tapped = this.#later(TAP_DRAG_MS, () => this.#endTap());
  }

  #endTap(): void {
    if (this.#tapped === undefined) return;
    this.#tapped();
    this.#tapped = undefined;
    this.#resumed = false;
    this.#let();
  }

  /** Two fingers have moved enough for one or the other. */
  #decide(): void {
    const [one, two] = [...this.#fingers.values()];
    if (one === undefined || two === undefined) return;
    const apart = distance(one.at, two.at) - distance(one.start, two.start);
    const moved = distance(middle(one.start, two.start), middle(one.at, two.at));
    if (Math.abs(apart) > PINCH_SLOP) {
      this.#state = "pinching";
    } else if (moved > SLOP) {
      this.#state = "scrolling";
      // The wheel turns what is under the fingers.
      if (this.mode === "direct") this.#actions.moveTo(middle(one.start, two.start));
    }
  }

  #click(button: number): void {
    this.#press(button);
    this.#let();
  }

  #press(button: number): void {
    this.#let();
    this.#button = button;
    this.#actions.button(button, true);
  }

  #let(): void {
    if (this.#button === undefined) return;
    const button = this.#button;
    this.#button = undefined;
    this.#actions.button(button, false);
  }

  #stopWaiting(): void {
    this.#callOff?.();
    this.#callOff = undefined;
  }

  #centre(): Point {
    const [one, two] = [...this.#fingers.values()];
    if (one === undefined) return { x: 0, y: 0 };
    return two === undefined ? one.at : middle(one.at, two.at);
  }

  #spread(): number {
    const [one, two] = [...this.#fingers.values()];
    return one === undefined || two === undefined ? 0 : distance(one.at, two.at);
  }
}

function distance(one: Point, two: Point): number {
  return Math.hypot(one.x - two.x, one.y - two.y);
}

function middle(one: Point, two: Point): Point {
  return { x: (one.x + two.x) / 2, y: (one.y + two.y) / 2 };
}
