import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { MotionMessage } from "../src/messages.ts";
import { FingerSender, MotionSender } from "../src/motion.ts";

let sent: MotionMessage[] = [];
let frames: (() => void)[] = [];
let timers = new Set<() => void>();

function sender(): MotionSender {
  return new MotionSender((message) => sent.push(message), {
    frame: (callback) => frames.push(callback),
    later: (_, callback) => {
      timers.add(callback);
      return () => timers.delete(callback);
    },
  });
}

function nextFrame(): void {
  for (const callback of frames.splice(0)) callback();
}

function rest(): void {
  const due = [...timers];
  timers.clear();
  for (const callback of due) callback();
}

beforeEach(() => {
  sent = [];
  frames = [];
  timers = new Set();
});

test("the first motion goes at once, the rest of a frame as one", () => {
  const motion = sender();
  for (const x of [1, 2, 3, 4]) motion.moveTo(x, 0, 640, 480);
  assert.deepEqual(sent, [{ t: "move", s: 1, x: 1, y: 0, w: 640, h: 480 }]);
  nextFrame();
  assert.deepEqual(sent[1], { t: "move", s: 2, x: 4, y: 0, w: 640, h: 480 });
  nextFrame();
  assert.equal(sent.length, 2);
  motion.moveTo(5, 0, 640, 480);
  assert.equal(sent.length, 3);
});

test("distances are totals, so that a lost message loses nothing", () => {
  const motion = sender();
  motion.moveBy(3, -2);
  motion.moveBy(0.5, 0);
  motion.moveBy(0.5, -1);
  nextFrame();
  assert.deepEqual(sent, [
    { t: "rel", s: 1, dx: 3, dy: -2 },
    { t: "rel", s: 2, dx: 4, dy: -3 },
  ]);
});

test("the last message is repeated once, with a number of its own, when the pointer rests", () => {
  const motion = sender();
  motion.moveTo(7, 8, 640, 480);
  nextFrame();
  rest();
  assert.deepEqual(sent[1], { t: "move", s: 2, x: 7, y: 8, w: 640, h: 480 });
  rest();
  assert.equal(sent.length, 2);
});

test("a button takes what is waiting with it", () => {
  const motion = sender();
  motion.moveTo(1, 1, 640, 480);
  motion.moveTo(2, 2, 640, 480);
  assert.deepEqual(motion.take(), { t: "move", s: 2, x: 2, y: 2, w: 640, h: 480 });
  nextFrame();
  assert.equal(sent.length, 1, "nothing is left to send at the end of the frame");
});

test("staying on a pixel sends nothing", () => {
  const motion = sender();
  motion.moveTo(1, 1, 640, 480);
  nextFrame();
  motion.moveTo(1, 1, 640, 480);
  assert.equal(sent.length, 1);
});

test("a new connection starts from nothing", () => {
  const motion = sender();
  motion.moveBy(5, 5);
  motion.reset();
  assert.equal(motion.take(), undefined);
  rest();
  nextFrame();
  motion.moveBy(1, 0);
  assert.deepEqual(sent.at(-1), { t: "rel", s: 1, dx: 1, dy: 0 });
});

test("each finger has the newest place in each frame, and once more at rest", () => {
  const fingers = new FingerSender((message) => sent.push(message), {
    frame: (callback) => frames.push(callback),
    later: (_, callback) => {
      timers.add(callback);
      return () => timers.delete(callback);
    },
  });
  assert.deepEqual(fingers.edge(0, 1, 1, 9, 9), { t: "touch", s: 1, slot: 0, x: 1, y: 1, w: 9, h: 9 });
  fingers.moveTo(0, 2, 2, 9, 9);
  fingers.moveTo(0, 3, 3, 9, 9);
  fingers.moveTo(1, 8, 8, 9, 9);
  fingers.moveTo(0, 4, 4, 9, 9);
  const seen = () => sent.splice(0).map((message) => (message.t === "touch" ? [message.s, message.slot, message.x] : message));
  assert.deepEqual(seen(), [[2, 0, 2]]);
  nextFrame();
  assert.deepEqual(seen(), [[3, 0, 4], [4, 1, 8]]);
  nextFrame();
  fingers.edge(1, 8, 8, 9, 9);
  rest();
  assert.deepEqual(seen(), [[6, 0, 4]], "the finger that is up is not told of again");
});
