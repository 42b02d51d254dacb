/**
 * Sends mouse, pen, wheel and fingers to the guest. A guest with a tablet gets positions; one with
 * a mouse only gets distances, for which the browser's pointer is captured on a click.
 */
import type { KeysMessage, MotionMessage, TouchPhase } from "./messages.ts";
import { MotionSender } from "./motion.ts";
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
}

/** DOM button numbers the guest has a button for: left, middle, right, back, forward. */
const BUTTONS = 5;

export class Pointer {
  readonly #screen: Screen;
  readonly #events: PointerEvents;
  readonly #motion: MotionSender;
  readonly #wheel = new WheelAccumulator();
  readonly #touches = new TouchSlots();
  readonly #down = new Set<number>();
  #absolute = true;
  #touchScreen = true;

  constructor(screen: Screen, events: PointerEvents) {
    this.#screen = screen;
    this.#events = events;
    this.#motion = new MotionSender((message) => events.sendMotion(message), {
      frame: (callback) => requestAnimationFrame(callback),
      later: (ms, callback) => {
        const timer = window.setTimeout(callback, ms);
        return () => window.clearTimeout(timer);
      },
    });
    const { surface } = screen;
    surface.addEventListener("pointerdown", (event) => this.#pressed(event));
    surface.addEventListener("pointerup", (event) => this.#released(event));
    surface.addEventListener("pointermove", (event) => this.#moved(event));
    surface.addEventListener("pointercancel", (event) => this.#cancelled(event));
    surface.addEventListener("pointerleave", (event) => this.#left(event));
    surface.addEventListener("wheel", (event) => this.#wheeled(event), { passive: false });
    // The guest has menus, middle clicks and a way back of its own.
    for (const name of ["contextmenu", "auxclick", "dragstart", "selectstart"]) {
      surface.addEventListener(name, (event) => event.preventDefault());
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

  /** Begins a new connection. */
  reset(): void {
    this.#motion.reset();
    this.released();
  }

  /** All buttons and fingers were let go of by a `release` message. */
  released(): void {
    this.#wheel.reset();
    this.#touches.clear();
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
    this.#events.capture(captured ? "captured" : this.#absolute ? "none" : "wanted");
  }

  #isTouch(event: PointerEvent): boolean {
    return event.pointerType === "touch" && this.#touchScreen;
  }

  #pressed(event: PointerEvent): void {
    event.preventDefault();
    this.#screen.focus();
    if (this.#isTouch(event)) {
      this.#capture(event);
      const slot = this.#touches.begin(event.pointerId);
      if (slot !== undefined) this.#touch("begin", slot, event);
      return;
    }
    if (!this.#absolute && !this.#captured()) {
      // The click that captures is not one of the guest's.
      void lock(this.#screen.surface);
      return;
    }
    this.#capture(event);
    this.#button(event, true);
  }

  #released(event: PointerEvent): void {
    event.preventDefault();
    if (this.#isTouch(event)) {
      const slot = this.#touches.end(event.pointerId);
      if (slot !== undefined) this.#touch("end", slot, event);
      return;
    }
    this.#button(event, false);
  }

  /** Further buttons of a pointer that is down already arrive as moves. */
  #moved(event: PointerEvent): void {
    if (this.#isTouch(event)) {
      const slot = this.#touches.get(event.pointerId);
      if (slot !== undefined) this.#touch("update", slot, event);
      return;
    }
    if (event.button >= 0) {
      this.#button(event, (event.buttons & buttonBit(event.button)) !== 0);
      return;
    }
    this.#track(event);
  }

  #cancelled(event: PointerEvent): void {
    const slot = this.#touches.end(event.pointerId);
    if (slot !== undefined) this.#touch("cancel", slot, event);
    else this.#button(event, false);
  }

  #left(event: PointerEvent): void {
    if (event.pointerType !== "touch") this.#events.leading(false);
  }

  #track(event: PointerEvent): void {
    if (this.#captured()) {
      this.#motion.moveBy(event.movementX, event.movementY);
      return;
    }
    if (!this.#absolute) return;
    const spot = this.#screen.spot(event.clientX, event.clientY);
    if (spot === undefined || (!spot.inside && this.#down.size === 0)) return;
    this.#events.leading(event.pointerType !== "touch" && spot.inside);
    this.#motion.moveTo(spot.x, spot.y, spot.frame.width, spot.frame.height);
  }

  #button(event: PointerEvent, down: boolean): void {
    const { button } = event;
    if (button < 0 || button >= BUTTONS) return;
    if (down ? this.#down.has(button) : !this.#down.has(button)) return;
    this.#track(event);
    // On the reliable channel just before the button, so that it acts on this very pixel.
    const motion = this.#motion.take();
    if (motion !== undefined) this.#events.sendKeys(motion);
    if (down) this.#down.add(button);
    else this.#down.delete(button);
    this.#events.sendKeys({ t: "button", button, down });
  }

  #touch(phase: TouchPhase, slot: number, event: PointerEvent): void {
    const spot = this.#screen.exactSpot(event.clientX, event.clientY);
    if (spot === undefined) return;
    const { x, y, frame } = spot;
    this.#events.sendKeys({ t: "touch", phase, slot, x, y, w: frame.width, h: frame.height });
  }

  #wheeled(event: WheelEvent): void {
    event.preventDefault();
    if (!this.#absolute && !this.#captured()) return;
    const { dx, dy } = this.#wheel.add(event as WheelEvent & { wheelDeltaX?: number });
    if (dx !== 0 || dy !== 0) this.#events.sendKeys({ t: "wheel", dx, dy });
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
