// Gestures of fingers and the mouse, made of pointer events: tap, long press, pan, pinch; groups of them; raw touches.

import { env } from "./env.js";
import { sizeOf } from "./sizes.js";
import { Recognizer } from "./recognizer.js";

class Gesture {
  constructor(kind, options = {}) {
    this.kind = kind;
    this.options = options;
    this.handlers = {};
  }
  tag() {
    return this;
  }
  allowedTypes() {
    return this;
  }
}
for (const name of ["onAction", "onActionStart", "onActionUpdate", "onActionEnd", "onActionCancel"]) {
  Gesture.prototype[name] = function (handler) {
    this.handlers[name] = handler;
    return this;
  };
}
export const TapGesture = (options) => new Gesture("tap", options);
export const LongPressGesture = (options) => new Gesture("longPress", options);
export const PanGesture = (options) => new Gesture("pan", options);
export const PinchGesture = (options) => new Gesture("pinch", options);
export const SwipeGesture = (options) => new Gesture("swipe", options);

class Group extends Gesture {
  constructor(mode, gestures) {
    super("group", { mode });
    this.gestures = gestures;
  }
  onCancel(handler) {
    this.handlers.onCancel = handler;
    return this;
  }
}
export const GestureGroup = (mode, ...gestures) => new Group(mode, gestures);

const flat = (gesture) => (gesture === undefined || gesture === null ? [] : gesture instanceof Group ? gesture.gestures.flatMap(flat) : [gesture]);

/** Recognizes a gesture on a node. It replaces the one of before under the same key, in the midst of a touch too. */
export function attach(node, key, gesture) {
  const known = (node.recognizers ??= new Map()).get(key);
  const list = flat(gesture);
  if (known) known.replace(list);
  else {
    const made = new Recognizer(node, list, key);
    node.recognizers.set(key, made);
    for (const type of ["pointerdown", "pointermove", "pointerup", "pointercancel", "click"]) {
      node.on(`gesture.${key}.${type}`, type, (event) => made.take(event));
    }
  }
  if (list.some((one) => one.kind === "pan" || one.kind === "pinch")) node.css["touch-action"] = "none";
}

const TYPES = { pointerdown: 0, pointerup: 1, pointermove: 2, pointercancel: 3 };

/** What moved: a finger, a pen or a mouse. */
export function sourceOf(event) {
  const { SourceType, SourceTool } = env.enums;
  return event?.pointerType === "mouse"
    ? { source: SourceType.Mouse, sourceTool: SourceTool.MOUSE }
    : { source: SourceType.TouchScreen, sourceTool: event?.pointerType === "pen" ? SourceTool.Pen : SourceTool.Finger };
}

/** A TouchEvent of ArkUI, with all fingers on the node. */
export function touchEvent(node, event) {
  const touches = (node.touches ??= new Map());
  const { x, y } = sizeOf(node);
  const type = TYPES[event.type];
  const point = {
    type,
    id: slot(touches, event.pointerId ?? 0),
    x: (event.clientX ?? 0) - x,
    y: (event.clientY ?? 0) - y,
    windowX: event.clientX ?? 0,
    windowY: event.clientY ?? 0,
    displayX: event.clientX ?? 0,
    displayY: event.clientY ?? 0,
    screenX: event.clientX ?? 0,
    screenY: event.clientY ?? 0,
    pressedTime: Date.now(),
    pressure: event.pressure ?? 0,
    width: 0,
    height: 0,
    hand: 0,
  };
  if (type === 2 && !touches.has(event.pointerId ?? 0)) return undefined;
  if (type === 0) {
    node.el.setPointerCapture?.(event.pointerId);
  }
  touches.set(event.pointerId ?? 0, point);
  const all = [...touches.values()];
  if (type === 1 || type === 3) touches.delete(event.pointerId ?? 0);
  return {
    type,
    touches: all,
    changedTouches: [point],
    ...sourceOf(event),
    timestamp: Date.now() * 1e6,
    target: { area: {} },
    pressure: point.pressure,
    tiltX: event.tiltX ?? 0,
    tiltY: event.tiltY ?? 0,
    deviceId: 0,
    axisHorizontal: 0,
    axisVertical: 0,
    stopPropagation: () => event.stopPropagation(),
    preventDefault: () => event.preventDefault(),
    getHistoricalPoints: () => [],
    getModifierKeyState: (keys) =>
      keys.every((key) => ({ ctrl: event.ctrlKey, shift: event.shiftKey, alt: event.altKey })[key.toLowerCase()] ?? false),
  };
}

/** The lowest free number: fingers are numbered from 0. */
function slot(touches, pointer) {
  const known = touches.get(pointer);
  if (known) return known.id;
  const used = new Set([...touches.values()].map((one) => one.id));
  let id = 0;
  while (used.has(id)) id++;
  return id;
}

// A browser numbers buttons left, middle, right, back, forward, and bits of them left, right, middle, back, forward.
const BUTTONS = ["Left", "Middle", "Right", "Back", "Forward"];
const BITS = ["Left", "Right", "Middle", "Back", "Forward"];
const ACTIONS = { pointerdown: "Press", pointerup: "Release", pointermove: "Move" };

/** A MouseEvent of ArkUI. */
export function mouseEvent(node, event) {
  const { x, y } = sizeOf(node);
  const { MouseAction, MouseButton } = env.enums;
  const action = ACTIONS[event.type];
  return {
    button: MouseButton[action === "Move" ? "None" : (BUTTONS[event.button ?? 0] ?? "None")],
    action: MouseAction[action],
    x: (event.clientX ?? 0) - x,
    y: (event.clientY ?? 0) - y,
    windowX: event.clientX,
    windowY: event.clientY,
    displayX: event.clientX,
    displayY: event.clientY,
    screenX: event.clientX,
    screenY: event.clientY,
    rawDeltaX: event.movementX ?? 0,
    rawDeltaY: event.movementY ?? 0,
    pressedButtons: BITS.filter((_, bit) => (event.buttons ?? 0) & (1 << bit)).map((name) => MouseButton[name]),
    source: env.enums.SourceType.Mouse,
    sourceTool: env.enums.SourceTool.MOUSE,
    timestamp: Date.now() * 1e6,
    target: { area: {} },
    pressure: 0,
    tiltX: 0,
    tiltY: 0,
    deviceId: 0,
    stopPropagation: () => event.stopPropagation(),
    preventDefault: () => event.preventDefault(),
    getModifierKeyState: (keys) =>
      keys.every((key) => ({ ctrl: event.ctrlKey, shift: event.shiftKey, alt: event.altKey })[key.toLowerCase()] ?? false),
  };
}
