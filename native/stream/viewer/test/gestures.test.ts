import assert from "node:assert/strict";
import { test } from "node:test";
import type { Point } from "../src/geometry.ts";
import { Gestures, LONG_PRESS_MS, TAP_DRAG_MS } from "../src/gestures.ts";
import type { TouchMode } from "../src/gestures.ts";

/** Gestures that write down what they do, with a clock that the test moves. */
function hand(mode: TouchMode) {
  const done: string[] = [];
  let timers: { at: number; then: () => void }[] = [];
  let now = 0;
  const round = (n: number) => String(Math.round(n * 10) / 10);
  const gestures = new Gestures({
    moveTo: ({ x, y }) => done.push(`to ${x},${y}`),
    moveBy: (dx, dy) => done.push(`by ${round(dx)},${round(dy)}`),
    button: (button, down) => done.push(`${down ? "press" : "let"} ${button}`),
    scroll: (dx, dy) => done.push(`scroll ${dx},${dy}`),
    zoom: (factor, at, by) => done.push(`zoom ${round(factor)} at ${at.x},${at.y} by ${by.x},${by.y}`),
    keyboard: () => done.push("keyboard"),
    buzz: () => done.push("buzz"),
  }, (ms, then) => {
    const timer = { at: now + ms, then };
    timers.push(timer);
    return () => {
      timers = timers.filter((other) => other !== timer);
    };
  });
  gestures.mode = mode;
  const at = (x: number, y: number): Point => ({ x, y });
  return {
    gestures,
    down: (id: number, x: number, y: number) => gestures.down(id, at(x, y)),
    move: (id: number, x: number, y: number) => gestures.move(id, at(x, y)),
    up: (id: number) => gestures.up(id),
    elapse: (ms: number) => {
      now += ms;
      const due = timers.filter((timer) => timer.at <= now);
      timers = timers.filter((timer) => timer.at > now);
      for (const { then } of due) then();
    },
    /** What was done since it was asked last. */
    done: () => done.splice(0),
  };
}

test("direct: a tap clicks where it is, and two taps are two clicks", () => {
  const { down, up, done } = hand("direct");
  down(1, 10, 20);
  up(1);
  down(2, 11, 20);
  up(2);
  assert.deepEqual(done(), ["to 10,20", "press 0", "let 0", "to 11,20", "press 0", "let 0"]);
});

test("direct: a finger that goes drags from where it came down", () => {
  const { down, move, up, done } = hand("direct");
  down(1, 10, 20);
  move(1, 12, 22);
  assert.deepEqual(done(), ["to 10,20"], "it only shook");
  move(1, 40, 20);
  move(1, 50, 20);
  up(1);
  assert.deepEqual(done(), ["press 0", "to 40,20", "to 50,20", "let 0"]);
});

test("a long press is the right button, and may drag", () => {
  for (const mode of ["direct", "trackpad"] as const) {
    const { down, move, up, elapse, done } = hand(mode);
    down(1, 10, 20);
    elapse(LONG_PRESS_MS);
    const begin = mode === "direct" ? ["to 10,20"] : [];
    assert.deepEqual(done(), [...begin, "buzz", "press 2"]);
    move(1, 11, 20);
    up(1);
    assert.deepEqual(done(), [mode === "direct" ? "to 11,20" : "by 1.1,0", "let 2"]);
  }
});

test("trackpad: a finger moves the pointer, farther if it is fast", () => {
  const { down, move, up, elapse, done } = hand("trackpad");
  down(1, 100, 100);
  move(1, 106, 100);
  move(1, 107, 100);
  move(1, 147, 100);
  up(1);
  elapse(LONG_PRESS_MS);
  assert.deepEqual(done(), ["by 9,0", "by 1.1,0", "by 120,0"]);
});

test("trackpad: a tap clicks, a tap and a drag drag, two taps double-click", () => {
  const { down, move, up, elapse, done } = hand("trackpad");
  down(1, 10, 10);
  up(1);
  assert.deepEqual(done(), ["press 0"]);
  elapse(TAP_DRAG_MS);
  assert.deepEqual(done(), ["let 0"]);
  down(1, 10, 10);
  up(1);
  down(2, 12, 10);
  move(2, 22, 10);
  elapse(LONG_PRESS_MS + TAP_DRAG_MS);
  assert.deepEqual(done(), ["press 0", "by 18.3,0"], "held all the way");
  up(2);
  assert.deepEqual(done(), ["let 0"]);
  down(1, 10, 10);
  up(1);
  down(2, 10, 10);
  up(2);
  elapse(TAP_DRAG_MS);
  assert.deepEqual(done(), ["press 0", "let 0", "press 0", "let 0"]);
});

test("two fingers turn the wheel, or zoom, or press the right button", () => {
  const { down, move, up, done } = hand("direct");
  down(1, 100, 100);
  down(2, 200, 100);
  move(1, 100, 130);
  move(2, 200, 130);
  move(2, 200, 140);
  up(1);
  up(2);
  assert.deepEqual(done(), ["to 100,100", "to 150,100", "scroll 0,15", "scroll 0,5"]);
  down(1, 100, 100);
  down(2, 200, 100);
  move(2, 240, 100);
  move(2, 340, 100);
  up(2);
  move(1, 90, 100);
  up(1);
  assert.deepEqual(done(), ["to 100,100", "zoom 1.7 at 170,100 by 50,0"]);
  down(1, 100, 100);
  down(2, 200, 100);
  up(1);
  up(2);
  assert.deepEqual(done(), ["to 100,100", "press 2", "let 2"]);
});

test("three fingers call the keyboard and touch nothing", () => {
  const { down, up, elapse, done } = hand("trackpad");
  for (const finger of [1, 2, 3]) down(finger, finger * 100, 10);
  for (const finger of [1, 2, 3]) up(finger);
  elapse(LONG_PRESS_MS);
  assert.deepEqual(done(), ["keyboard"]);
});

test("what the system takes away is let go of, and a new finger begins anew", () => {
  const { gestures, down, move, up, done } = hand("direct");
  down(1, 10, 20);
  move(1, 40, 20);
  gestures.cancel();
  assert.deepEqual(done().at(-1), "let 0");
  move(1, 60, 20);
  up(1);
  assert.deepEqual(done(), []);
  down(2, 5, 5);
  gestures.forget();
  up(2);
  assert.deepEqual(done(), ["to 5,5"], "nothing of a finger that was let go of elsewhere");
});
