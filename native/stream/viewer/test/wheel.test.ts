import assert from "node:assert/strict";
import { test } from "node:test";
import { WheelAccumulator } from "../src/wheel.ts";

const pixels = (deltaY: number, deltaX = 0) => ({ deltaX, deltaY, deltaMode: 0 });

test("a trackpad's small steps add up to notches and lose nothing", () => {
  const wheel = new WheelAccumulator();
  let notches = 0;
  for (let i = 0; i < 250; i++) notches += wheel.add(pixels(4)).dy;
  assert.equal(notches, 10);
});

test("a real wheel makes one notch whatever distance the system gives it", () => {
  const wheel = new WheelAccumulator();
  for (const deltaY of [48, 53, 100, 120, 125]) {
    assert.deepEqual(wheel.add({ ...pixels(deltaY), wheelDeltaY: -120 }), { dx: 0, dy: 1 });
  }
  assert.deepEqual(wheel.add({ ...pixels(-240), wheelDeltaY: 240 }), { dx: 0, dy: -2 });
});

test("turning back is not delayed by what was left over", () => {
  const wheel = new WheelAccumulator();
  assert.deepEqual(wheel.add(pixels(90)), { dx: 0, dy: 0 });
  assert.deepEqual(wheel.add(pixels(-100)), { dx: 0, dy: -1 });
});

test("lines, pages and both axes", () => {
  const wheel = new WheelAccumulator();
  assert.deepEqual(wheel.add({ deltaX: -3, deltaY: 6, deltaMode: 1 }), { dx: -1, dy: 2 });
  assert.deepEqual(wheel.add({ deltaX: 0, deltaY: 1, deltaMode: 2 }), { dx: 0, dy: 1 });
});

test("a wild event cannot flood the guest", () => {
  const wheel = new WheelAccumulator();
  assert.deepEqual(wheel.add(pixels(1e9)), { dx: 0, dy: 20 });
  assert.deepEqual(wheel.add(pixels(0)), { dx: 0, dy: 0 });
  assert.deepEqual(wheel.add(pixels(Number.NaN)), { dx: 0, dy: 0 });
});

test("a trackpad's pixels are no notches, though the old field may divide by one", () => {
  const wheel = new WheelAccumulator();
  const by = (pixels: number) => wheel.add({ deltaX: 0, deltaY: pixels, deltaMode: 0, wheelDeltaX: 0, wheelDeltaY: -3 * pixels }).dy;
  assert.deepEqual([by(40), by(40), by(40)], [0, 0, 1]);
  assert.equal(by(-120), -1);
  wheel.reset();
  // A mouse's notch of 120 pixels.
  assert.equal(wheel.add({ deltaX: 0, deltaY: 120, deltaMode: 0, wheelDeltaX: 0, wheelDeltaY: -120 }).dy, 1);
});
