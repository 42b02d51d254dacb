/**
 * Sends mouse, pen, wheel and fingers to the guest. A guest with a tablet gets positions; one with
 * a mouse only gets distances, for which the browser's pointer is captured on a click.
 */
import { Gestures } from "./gestures.ts";
import type { TouchMode } from "./gestures.ts";
import type { Point } from "./geometry.ts";
import type { KeysMessage, MotionMessage, TouchPhase } from "./messages.ts";
import { FingerSender, MotionSender } from "./motion.ts";
import type { Clock } from "./motion.ts";
import type { Screen } from "./screen.ts";
import { TouchSlots } from "./touch.ts";
import { WheelAccumulator } from "./wheel.ts";

export interface PointerEvents {
  sendKeys(message: KeysMessage): void;
  sendMotion(message: MotionMessage): void;
  /** Whether this page's pointer leads the guest's. */
  leading(leading: boolean): void;
  /** Whether the pointer is captured, or waits for a click to be, or neither. */
  capture(state: "none" | "wanted" | "captured"): void;
  /** The guest has the focus now, by a press at a point of the window. */
  pressed(at: Point): void;
  /** A button or the wheel was used. */
  used(): void;
  /** Three fingers called for the keyboard. */
  keyboard(): void;
  /** Where the guest's own pointer is, in guest pixels. */
  guestPointer(): Point | undefined;
}

/** DOM button numbers the guest has a button for: left, middle, right, back, forward. */
const BUTTONS = 5;

/** Where the browser tells of motion as it happens, and not once a frame, we send so often: USB mice of guests are asked so. */
const RAW_PERIOD_MS = 8;

/** Fingers turn the wheel by a notch for so many CSS pixels. */
const PIXELS_PER_NOTCH = 32;

const clock: Clock = {
  frame: (callback) => requestAnimationFrame(callback),
  later: (ms, callback) => {
    const timer = window.setTimeout(callback, ms);
    return () => window.clearTimeout(timer);
  },
};

export class Pointer {
  readonly #screen: Screen;
  readonly #events: PointerEvents;
  readonly #motion: MotionSender;
  readonly #fingers: FingerSender;
  readonly #gestures: Gestures;
  readonly #wheel = new WheelAccumulator();
  readonly #touches = new TouchSlots();
  readonly #down = new Set<number>();
  readonly #raw: boolean;
  #absolute = true;
  #touchScreen = false;
  /** Whether what is done here reaches the guest. */
  #driving = true;
  /** Where the trackpad has the pointer, in guest pixels. */
  #pad: Point | undefined;

  constructor(screen: Screen, mode: TouchMode, events: PointerEvents) {
    this.#screen = screen;
    this.#events = events;
    const { surface, stage } = screen;
    this.#raw = "onpointerrawupdate" in surface;
    const send = (message: MotionMessage) => events.sendMotion(message);
    this.#motion = new MotionSender(send, this.#raw ? { ...clock, frame: (then) => clock.later(RAW_PERIOD_MS, then) } : clock);
    this.#fingers = new FingerSender(send, clock);
    this.#gestures = new Gestures({
      moveTo: (at) => this.#to(at.x, at.y),
      moveBy: (dx, dy) => this.#by(dx, dy),
      button: (button, down) => this.#press(button, down),
      scroll: (dx, dy) => this.#scroll(dx, dy),
      zoom: (factor, at, by) => screen.zoomBy(factor, at, by),
      keyboard: () => events.keyboard(),
      buzz: () => navigator.vibrate?.(15),
    }, (ms, then) => clock.later(ms, then));
    this.#gestures.mode = mode;
    surface.addEventListener("pointerdown", (event) => this.#pressed(event));
    surface.addEventListener("pointerup", (event) => this.#released(event));
    surface.addEventListener("pointermove", (event) => this.#moved(event));
    if (this.#raw) {
      surface.addEventListener("pointerrawupdate", (event) => {
        const raw = event as PointerEvent;
        if (raw.pointerType !== "touch") this.#track(raw);
      });
    }
    surface.addEventListener("pointercancel", (event) => this.#cancelled(event));
    surface.addEventListener("pointerleave", (event) => this.#left(event));
    surface.addEventListener("wheel", (event) => this.#wheeled(event), { passive: false });
    // Fingers may begin beside the picture: a trackpad is the whole stage, and a pinch needs room.
    for (const name of ["pointerdown", "pointermove", "pointerup", "pointercancel"] as const) {
      stage.addEventListener(name, (event) => {
        if (event.target === stage && event.pointerType === "touch") this.#beside(event);
      });
    }
    // The guest has menus, middle clicks and a way back of its own.
    for (const name of ["contextmenu", "auxclick", "dragstart", "selectstart"]) {
      stage.addEventListener(name, (event) => event.preventDefault());
    }
    document.addEventListener("pointerlockchange", () => this.#captureChanged());
  }

  /** What kind of pointer the guest has. */
  setGuest(absolute: boolean, touchScreen: boolean): void {
    this.#touchScreen = touchScreen;
    if (this.#absolute === absolute) return;
    this.#absolute = absolute;
    if (absolute && this.#captured()) document.exitPointerLock();
    this.#captureChanged();
  }

  /** Whether this page drives the guest now. */
  setDriving(driving: boolean): void {
    if (this.#driving === driving) return;
    this.#driving = driving;
    this.reset();
    if (!driving && this.#captured()) document.exitPointerLock();
    this.#captureChanged();
  }

  setMode(mode: TouchMode): void {
    this.#gestures.cancel();
    this.#gestures.mode = mode;
  }

  /** Begins a new connection. */
  reset(): void {
    this.#motion.reset();
    this.#fingers.reset();
    this.#pad = undefined;
    this.released();
  }

  /** All buttons and fingers were let go of by a `release` message. */
  released(): void {
    this.#wheel.reset();
    this.#touches.clear();
    this.#gestures.forget();
    this.#down.clear();
  }

  #captured(): boolean {
    return document.pointerLockElement === this.#screen.surface;
  }

  #captureChanged(): void {
    const captured = this.#captured();
    if (!captured) {
      for (const button of this.#down) this.#events.sendKeys({ t: "button", button, down: false });
      this.#down.clear();
    }
    this.#events.leading(false);
    // Fingers need no capture: they move the pointer as on a trackpad.
    const mouse = matchMedia("(any-pointer: fine)").matches;
    const wanted = !this.#absolute && mouse && this.#driving;
    this.#events.capture(captured ? "captured" : wanted ? "wanted" : "none");
  }

  /** Whether a finger is one of the guest's, and not a gesture. */
  #isFinger(): boolean {
    return this.#touchScreen && this.#gestures.mode === "direct";
  }

  #pressed(event: PointerEvent): void {
    event.preventDefault();
    this.#events.pressed({ x: event.clientX, y: event.clientY });
    if (event.pointerType === "touch") {
      this.#capture(event);
      this.#touchDown(event);
      return;
    }
    if (!this.#absolute && !this.#captured() && this.#driving) {
      // The click that captures is not one of the guest's.
      void lock(this.#screen.surface);
      return;
    }
    this.#capture(event);
    this.#button(event, true);
  }

  #released(event: PointerEvent): void {
    event.preventDefault();
    if (event.pointerType === "touch") this.#touchUp(event, "end");
    else this.#button(event, false);
  }

  /** Further buttons of a pointer that is down already arrive as moves. */
  #moved(event: PointerEvent): void {
    if (event.pointerType === "touch") {
      this.#touchMove(event);
      return;
    }
    if (event.button >= 0) {
      this.#button(event, (event.buttons & buttonBit(event.button)) !== 0);
      return;
    }
    if (!this.#raw) this.#track(event);
  }

  #cancelled(event: PointerEvent): void {
    if (event.pointerType === "touch") this.#touchUp(event, "cancel");
    else this.#button(event, false);
  }

  #left(event: PointerEvent): void {
    if (event.pointerType !== "touch") this.#events.leading(false);
  }

  #beside(event: PointerEvent): void {
    event.preventDefault();
    switch (event.type) {
      case "pointerdown":
        this.#touchDown(event);
        break;
      case "pointermove":
        this.#touchMove(event);
        break;
      case "pointerup":
        this.#touchUp(event, "end");
        break;
      default:
        this.#touchUp(event, "cancel");
    }
  }

  #touchDown(event: PointerEvent): void {
    this.#events.leading(false);
    if (!this.#isFinger()) {
      this.#gestures.down(event.pointerId, point(event));
      return;
    }
    const slot = this.#touches.begin(event.pointerId);
    if (slot !== undefined) this.#touch("begin", slot, event);
  }

  #touchMove(event: PointerEvent): void {
    const slot = this.#touches.get(event.pointerId);
    if (slot === undefined) {
      this.#gestures.move(event.pointerId, point(event));
      return;
    }
    const spot = this.#screen.exactSpot(event.clientX, event.clientY);
    if (spot !== undefined) this.#fingers.moveTo(slot, spot.x, spot.y, spot.frame.width, spot.frame.height);
  }

  #touchUp(event: PointerEvent, phase: "end" | "cancel"): void {
    const slot = this.#touches.end(event.pointerId);
    if (slot !== undefined) this.#touch(phase, slot, event);
    else if (phase === "cancel") this.#gestures.cancel();
    else this.#gestures.up(event.pointerId);
  }

  #touch(phase: TouchPhase, slot: number, event: PointerEvent): void {
    const spot = this.#screen.exactSpot(event.clientX, event.clientY);
    if (spot === undefined) return;
    const { x, y, frame } = spot;
    const message = this.#fingers.edge(slot, x, y, frame.width, frame.height);
    this.#events.sendKeys({ ...message, phase });
  }

  #track(event: PointerEvent): void {
    if (this.#captured()) {
      this.#motion.moveBy(event.movementX, event.movementY);
      return;
    }
    if (!this.#absolute) return;
    const spot = this.#screen.spot(event.clientX, event.clientY);
    if (spot === undefined || (!spot.inside && this.#down.size === 0)) return;
    this.#events.leading(this.#driving && event.pointerType !== "touch" && spot.inside);
    this.#pad = spot;
    this.#motion.moveTo(spot.x, spot.y, spot.frame.width, spot.frame.height);
  }

  /** A finger puts the pointer on a point of the window. */
  #to(clientX: number, clientY: number): void {
    // A guest without a tablet has no places: the finger only presses.
    const spot = this.#absolute ? this.#screen.spot(clientX, clientY) : undefined;
    if (spot === undefined) return;
    this.#pad = spot;
    this.#motion.moveTo(spot.x, spot.y, spot.frame.width, spot.frame.height);
  }

  /** A trackpad moves the pointer. */
  #by(dx: number, dy: number): void {
    const { shown } = this.#screen;
    if (shown === undefined) return;
    // As far in the guest as the finger goes on the glass.
    const scale = shown.width / this.#screen.box.width;
    if (!this.#absolute) {
      this.#motion.moveBy(dx * scale, dy * scale);
      return;
    }
    const from = this.#pad ?? this.#events.guestPointer() ?? { x: shown.width / 2, y: shown.height / 2 };
    const x = Math.min(Math.max(from.x + dx * scale, 0), shown.width - 1);
    const y = Math.min(Math.max(from.y + dy * scale, 0), shown.height - 1);
    this.#pad = { x, y };
    this.#screen.reveal(this.#pad);
    this.#motion.moveTo(Math.floor(x), Math.floor(y), shown.width, shown.height);
  }

  #scroll(dx: number, dy: number): void {
    const notches = 100 / PIXELS_PER_NOTCH;
    this.#turn({ deltaX: -dx * notches, deltaY: -dy * notches, deltaMode: 0 });
  }

  #button(event: PointerEvent, down: boolean): void {
    const { button } = event;
    if (button < 0 || button >= BUTTONS) return;
    if (down ? this.#down.has(button) : !this.#down.has(button)) return;
    this.#track(event);
    this.#press(button, down);
  }

  #press(button: number, down: boolean): void {
    // On the reliable channel just before the button, so that it acts on this very pixel.
    const motion = this.#motion.take();
    if (motion !== undefined) this.#events.sendKeys(motion);
    if (down) this.#down.add(button);
    else this.#down.delete(button);
    this.#events.sendKeys({ t: "button", button, down });
    if (!down) this.#events.used();
  }

  #wheeled(event: WheelEvent): void {
    event.preventDefault();
    if (!this.#absolute && !this.#captured()) return;
    this.#turn(event as WheelEvent & { wheelDeltaX?: number });
  }

  #turn(event: Parameters<WheelAccumulator["add"]>[0]): void {
    const { dx, dy } = this.#wheel.add(event);
    if (dx === 0 && dy === 0) return;
    const motion = this.#motion.take();
    if (motion !== undefined) this.#events.sendKeys(motion);
    this.#events.sendKeys({ t: "wheel", dx, dy });
    this.#events.used();
  }

  /** Keeps a drag that leaves the picture. */
  #capture(event: PointerEvent): void {
    try {
      this.#screen.surface.setPointerCapture(event.pointerId);
    } catch {
      // The pointer is gone already; its release comes all the same.
    }
  }
}

function point(event: PointerEvent): Point {
  return { x: event.clientX, y: event.clientY };
}

/** The bit of `buttons` that stands for a `button` number: right and middle are swapped there. */
function buttonBit(button: number): number {
  return [1, 4, 2, 8, 16][button] ?? 0;
}

/** Captures the pointer, without the system's acceleration where the browser can. */
async function lock(surface: HTMLElement): Promise<void> {
  try {
    await surface.requestPointerLock({ unadjustedMovement: true });
  } catch {
    try {
      await surface.requestPointerLock();
    } catch (error) {
      console.warn("sampan: the pointer cannot be captured:", error);
    }
  }
}
