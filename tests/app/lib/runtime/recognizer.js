// Recognizes gestures out of the pointers on one node.
import { guard } from "./env.js";
import { member } from "./enumeration.js";
import { sourceOf } from "./gestures.js";
import { sizeOf } from "./sizes.js";

/** As ArkUI has them: how far a finger may go for a tap, and how soon a second tap follows. */
const SLOP = 20;
const DOUBLE_TAP = 300;

export class Recognizer {
  constructor(node, gestures, key) {
    Object.assign(this, { node, gestures, key, pointers: new Map(), state: undefined, taps: 0, lastTap: 0 });
  }

  replace(gestures) {
    this.gestures = gestures;
  }

  of(kind) {
    return this.gestures.filter((one) => one.kind === kind);
  }

  take(event) {
    if (event.type === "click") {
      this.click(event);
      return;
    }
    const id = event.pointerId ?? 0;
    const point = { x: event.clientX ?? 0, y: event.clientY ?? 0 };
    if (event.type === "pointerdown") this.down(id, point, event);
    else if (!this.pointers.has(id)) return;
    else if (event.type === "pointermove") this.move(id, point, event);
    else this.up(id, event);
  }

  event(source, more = {}) {
    const { x, y, width, height } = sizeOf(this.node);
    const points = [...this.pointers.values()];
    return {
      repeat: false,
      offsetX: 0,
      offsetY: 0,
      angle: 0,
      speed: 0,
      scale: 1,
      pinchCenterX: 0,
      pinchCenterY: 0,
      velocity: 0,
      velocityX: 0,
      velocityY: 0,
      fingerList: points.map((one, id) => ({
        id,
        globalX: one.x,
        globalY: one.y,
        localX: one.x - x,
        localY: one.y - y,
        displayX: one.x,
        displayY: one.y,
      })),
      ...sourceOf(source),
      timestamp: Date.now() * 1e6,
      deviceId: 0,
      target: { area: { width, height } },
      pressure: 0,
      tiltX: 0,
      tiltY: 0,
      axisHorizontal: 0,
      axisVertical: 0,
      getModifierKeyState: () => false,
      ...more,
    };
  }

  call(gesture, name, ...args) {
    const handler = gesture.handlers[name];
    if (handler) guard(() => handler(...args));
  }

  down(id, point, event) {
    this.pointers.set(id, { ...point, startX: point.x, startY: point.y, time: Date.now() });
    this.fingers = Math.max(this.fingers ?? 0, this.pointers.size);
    if (this.pointers.size === 1) this.state = { kind: undefined, moved: false };
    clearTimeout(this.timer);
    for (const gesture of this.of("longPress")) {
      if ((gesture.options.fingers ?? 1) !== this.pointers.size) continue;
      this.timer = setTimeout(
        () =>
          guard(() => {
            if (this.state?.moved || this.state?.kind) return;
            this.state.kind = "longPress";
            this.call(gesture, "onAction", this.event(event));
            this.long = gesture;
          }),
        gesture.options.duration ?? 500,
      );
    }
  }

  move(id, point, event) {
    const held = this.pointers.get(id);
    Object.assign(held, { lastX: held.x, lastY: held.y, ...point });
    const [dx, dy] = [held.x - held.startX, held.y - held.startY];
    const distance = Math.hypot(dx, dy);
    if (distance > SLOP && !this.state.moved) {
      this.state.moved = true;
      clearTimeout(this.timer);
    }
    if (this.pointers.size >= 2) this.pinch(event);
    if (this.state.kind === "pinch" || this.state.kind === "longPress") return;
    for (const gesture of this.of("pan")) this.pan(gesture, held, dx, dy, distance, event);
  }

  pan(gesture, held, dx, dy, distance, event) {
    const { fingers = 1, distance: least = 5, direction } = gesture.options;
    const active = this.state.pan === gesture;
    if (!active && (this.state.pan || this.pointers.size < fingers)) return;
    const way = member("PanDirection", direction) ?? "All";
    const horizontal = ["All", "Horizontal", "Left", "Right"].includes(way);
    const vertical = ["All", "Vertical", "Up", "Down"].includes(way);
    const far = horizontal && vertical ? distance : horizontal ? Math.abs(dx) : Math.abs(dy);
    if (!active && far < least) return;
    const elapsed = Math.max(1, Date.now() - held.time) / 1000;
    const made = this.event(event, {
      offsetX: horizontal ? dx : 0,
      offsetY: vertical ? dy : 0,
      velocityX: dx / elapsed,
      velocityY: dy / elapsed,
      velocity: distance / elapsed,
    });
    if (!active) {
      clearTimeout(this.timer);
      Object.assign(this.state, { kind: "pan", pan: gesture, moved: true });
      this.node.el.setPointerCapture?.(event.pointerId);
      this.call(gesture, "onActionStart", made);
    }
    this.state.lastPan = made;
    this.call(gesture, "onActionUpdate", made);
  }

  pinch(event) {
    const [gesture] = this.of("pinch");
    if (!gesture) return;
    const [a, b] = [...this.pointers.values()];
    const start = Math.hypot(a.startX - b.startX, a.startY - b.startY) || 1;
    const now = Math.hypot(a.x - b.x, a.y - b.y);
    const { x, y } = sizeOf(this.node);
    if (this.state.kind === "pan" && !this.state.pinch) return;
    if (!this.state.pinch && Math.abs(now - start) < (gesture.options.distance ?? 5)) return;
    const made = this.event(event, { scale: now / start, pinchCenterX: (a.x + b.x) / 2 - x, pinchCenterY: (a.y + b.y) / 2 - y });
    if (!this.state.pinch) {
      clearTimeout(this.timer);
      Object.assign(this.state, { kind: "pinch", pinch: gesture });
      this.call(gesture, "onActionStart", made);
    }
    this.state.lastPinch = made;
    this.call(gesture, "onActionUpdate", made);
  }

  up(id, event) {
    const ended = event.type === "pointercancel" ? "onActionCancel" : "onActionEnd";
    const tapped = this.state && !this.state.kind && !this.state.moved && event.type === "pointerup";
    const made = tapped ? this.event(event) : undefined;
    this.pointers.delete(id);
    clearTimeout(this.timer);
    if (this.state?.pinch && this.pointers.size < 2) {
      this.call(this.state.pinch, ended, this.state.lastPinch);
      this.state.pinch = undefined;
    }
    if (this.pointers.size > 0) return;
    if (this.state?.pan) this.call(this.state.pan, ended, this.state.lastPan ?? this.event(event));
    if (this.long) this.call(this.long, ended, this.event(event));
    this.long = undefined;
    if (tapped) {
      this.pointerTap = Date.now();
      this.tap(made, this.fingers);
    }
    this.fingers = 0;
    this.state = undefined;
  }

  /** A click without pointers before it: from the keyboard, from a screen reader, or from a test. */
  click(event) {
    if (this.pointerTap && Date.now() - this.pointerTap < 50) {
      this.pointerTap = 0;
      return;
    }
    if (this.of("tap").length > 0 && !this.state) this.tap(this.event(event), 1);
  }

  tap(made, fingers) {
    this.taps = Date.now() - this.lastTap < DOUBLE_TAP ? this.taps + 1 : 1;
    this.lastTap = Date.now();
    const fits = this.of("tap").filter((one) => (one.options.fingers ?? 1) === fingers);
    for (const gesture of fits) {
      if ((gesture.options.count ?? 1) === this.taps) {
        clearTimeout(this.waiting);
        // A single tap waits where a double one may follow, as in ArkUI's exclusive groups.
        const more = this.taps === 1 && fits.some((one) => (one.options.count ?? 1) > 1);
        if (more) this.waiting = setTimeout(() => this.call(gesture, "onAction", made), DOUBLE_TAP);
        else this.call(gesture, "onAction", made);
      }
    }
  }
}
