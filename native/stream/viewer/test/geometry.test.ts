import assert from "node:assert/strict";
import { test } from "node:test";
import {
  MOST_ZOOM, contains, enlarge, fit, millimetres, pinch, shownSize, toGuest, toGuestExact, wantedSize,
} from "../src/geometry.ts";

test("every guest pixel of a one-to-one picture maps to itself", () => {
  for (const ratio of [1, 1.25, 1.5, 2, 3]) {
    const guest = { width: 1366, height: 768 };
    const stage = { width: 1400 / ratio, height: 800 / ratio };
    const box = fit(stage, guest, ratio);
    assert.equal(Math.round(box.width * ratio), guest.width);
    for (let x = 0; x < guest.width; x++) {
      // The pixel's left edge, its middle and its last hair all belong to it.
      for (const part of [0, 0.5, 0.999]) {
        const point = { x: box.left + (x + part) / ratio, y: box.top };
        assert.equal(toGuest(point, box, guest).x, x, `ratio ${ratio}, pixel ${x} + ${part}`);
      }
    }
  }
});

test("a scaled picture keeps its aspect and stands in the middle", () => {
  const box = fit({ width: 1000, height: 1000 }, { width: 1920, height: 1080 }, 1);
  assert.deepEqual(box, { left: 0, top: 218, width: 1000, height: 563 });
  const tall = fit({ width: 1000, height: 500 }, { width: 600, height: 1000 }, 1);
  assert.deepEqual(tall, { left: 350, top: 0, width: 300, height: 500 });
});

test("a guest a hair smaller than the window is not stretched", () => {
  const box = fit({ width: 1006, height: 606 }, { width: 1000, height: 600 }, 1);
  assert.deepEqual(box, { left: 3, top: 3, width: 1000, height: 600 });
  assert.equal(fit({ width: 2000, height: 1200 }, { width: 1000, height: 600 }, 1).width, 2000);
});

test("points outside the picture land on its edge", () => {
  const guest = { width: 640, height: 480 };
  const box = { left: 10, top: 20, width: 640, height: 480 };
  assert.deepEqual(toGuest({ x: -5, y: 1e6 }, box, guest), { x: 0, y: 479 });
  assert.ok(contains(box, { x: 10, y: 20 }));
  assert.ok(!contains(box, { x: 650, y: 20 }));
  assert.ok(!contains(box, { x: 9.9, y: 20 }));
});

test("padding of the encoder is cropped, another size is not", () => {
  const guest = { width: 1365, height: 767 };
  assert.deepEqual(shownSize({ width: 1366, height: 768 }, guest), guest);
  assert.deepEqual(shownSize({ width: 1376, height: 768 }, guest), guest);
  const old = { width: 800, height: 600 };
  assert.deepEqual(shownSize(old, guest), old);
  assert.deepEqual(shownSize({ width: 1364, height: 768 }, guest), { width: 1364, height: 768 });
  assert.deepEqual(shownSize(old, undefined), old);
});

test("the wanted size is the stage in device pixels, within bounds", () => {
  assert.deepEqual(wantedSize({ width: 1280, height: 719.5 }, 2), { width: 2560, height: 1439 });
  assert.deepEqual(wantedSize({ width: 10, height: 10 }, 1), { width: 320, height: 200 });
  assert.deepEqual(wantedSize({ width: 99999, height: 99999 }, 1), { width: 7680, height: 4320 });
  assert.deepEqual(millimetres({ width: 960, height: 480 }), { width: 254, height: 127 });
});

test("fingers that spread keep what is under them there", () => {
  const stage = { width: 400, height: 800 };
  const fitted = fit(stage, { width: 800, height: 600 }, 2);
  assert.deepEqual(fitted, { left: 0, top: 250, width: 400, height: 300 });
  const whole = { factor: 1, centre: { x: 0.5, y: 0.5 } };
  const at = { x: 100, y: 400 };
  const zoom = pinch(fitted, stage, whole, 4, at, { x: 0, y: 0 });
  const box = enlarge(fitted, stage, zoom, 2);
  assert.deepEqual([box.width, box.height], [1600, 1200]);
  const before = toGuestExact(at, fitted, { width: 800, height: 600 });
  const after = toGuestExact(at, box, { width: 800, height: 600 });
  assert.ok(Math.abs(before.x - after.x) < 0.5 && Math.abs(before.y - after.y) < 0.5, `${after.x},${after.y}`);
  assert.equal(pinch(box, stage, zoom, 100, at, { x: 0, y: 0 }).factor, MOST_ZOOM);
  assert.equal(pinch(box, stage, zoom, 0.01, at, { x: 0, y: 0 }).factor, 1);
  assert.equal(enlarge(fitted, stage, whole, 2), fitted);
});

test("an enlarged picture leaves no room that it could fill", () => {
  const stage = { width: 400, height: 800 };
  const fitted = { left: 0, top: 250, width: 400, height: 300 };
  const corner = enlarge(fitted, stage, { factor: 2, centre: { x: 0, y: 1 } }, 1);
  assert.equal(corner.left, 0);
  assert.equal(corner.top, 100, "still lower than the stage: in its middle");
  const right = enlarge(fitted, stage, { factor: 4, centre: { x: 1, y: 1 } }, 1);
  assert.deepEqual([right.left, right.top], [-1200, -400]);
});
