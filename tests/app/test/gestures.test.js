// Fingers become what a person means: clicks, drags, wheels, zoom. No clock and no device: each event has its time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { model } from "./lib/models.js";

const { Gestures } = await model("gestures");
const { Finger } = await model("gestures_types");
const { gain, gainOf, Wheel } = await model("gestures_motion");
const { Zoom } = await model("gestures_zoom");

/** Fingers on a pad, by their names. `down("a", 10, 20)` at the time `at`. */
function hand(mode = "trackpad") {
  const gestures = new Gestures(mode);
  const on = new Map();
  let log = [];
  let now = 0;
  const put = (intents) => log.push(...intents);
  const tell = (phase, name, more = {}) => {
    const finger = on.get(name);
    put(gestures.take({ phase, time: now, changed: [finger], all: [...on.values()], ...more }));
  };
  const self = {
    gestures,
    at(time) {
      // What is due before happens first, as the page's timer has it.
      while (gestures.due !== undefined && gestures.due <= time) put(gestures.tick(gestures.due));
      now = time;
      return self;
    },
    down(name, x = 100, y = 100, more) {
      on.set(name, new Finger(Object.keys(ids).indexOf(name), x, y));
      tell("down", name, more);
      return self;
    },
    move(name, x, y) {
      Object.assign(on.get(name), { x, y });
      tell("move", name);
      return self;
    },
    /** Several fingers in one event. */
    moveAll(places) {
      for (const [name, [x, y]] of Object.entries(places)) Object.assign(on.get(name), { x, y });
      put(gestures.take({ phase: "move", time: now, changed: Object.keys(places).map((name) => on.get(name)), all: [...on.values()] }));
      return self;
    },
    up(name) {
      const finger = on.get(name);
      on.delete(name);
      put(gestures.take({ phase: "up", time: now, changed: [finger], all: [...on.values()] }));
      return self;
    },
    cancel(name) {
      const finger = on.get(name);
      on.clear();
      put(gestures.take({ phase: "cancel", time: now, changed: [finger], all: [] }));
      return self;
    },
    /** A finger leaves and nobody tells. */
    lose(name) {
      on.delete(name);
      return self;
    },
    use(mode) {
      put(gestures.use(mode));
      return self;
    },
    take() {
      const found = log.map((one) => {
        switch (one.kind) {
          case "press": case "release": return `${one.kind} ${one.button}`;
          case "moveTo": case "ring": case "wheel": return `${one.kind} ${one.x},${one.y}`;
          default: return one.kind;
        }
      });
      log = [];
      return found;
    },
    raw() {
      const found = log;
      log = [];
      return found;
    },
  };
  return self;
}
const ids = { a: 0, b: 1, c: 2, d: 3 };

test("a tap clicks, and the button goes up a moment later", () => {
  const it = hand().at(0).down("a").at(80).up("a");
  assert.deepEqual(it.take(), ["press left"]);
  assert.deepEqual(it.at(1000).take(), ["release left"]);
  assert.equal(it.gestures.due, undefined);
});

test("a tap that trembles is a tap; a finger that goes is none", () => {
  assert.deepEqual(hand().at(0).down("a").at(20).move("a", 104, 105).at(80).up("a").at(999).take(), ["press left", "release left"]);
  const moved = hand().at(0).down("a").at(20).move("a", 120, 100).at(80).up("a").at(999).take();
  assert.deepEqual([...new Set(moved)], ["moveBy"]);
});

test("two taps are two clicks", () => {
  const it = hand().at(0).down("a").at(60).up("a").at(150).down("a").at(210).up("a").at(999);
  assert.deepEqual(it.take(), ["press left", "release left", "press left", "release left"]);
});

test("a tap, then a finger that goes, drags with the left button", () => {
  const it = hand().at(0).down("a").at(60).up("a").at(150).down("a").at(170).move("a", 130, 100);
  assert.deepEqual(it.take(), ["press left", "moveBy"], "the button has stayed down");
  it.at(1500).move("a", 140, 100).up("a").at(3000);
  assert.deepEqual(it.take(), ["moveBy", "release left"]);
});

test("a tap long after a tap is another click", () => {
  const it = hand().at(0).down("a").at(60).up("a").at(600).down("a").at(620).move("a", 150, 100).up("a").at(999);
  assert.deepEqual(it.take().filter((one) => one !== "moveBy"), ["press left", "release left"]);
});

test("a finger that rests for 450 ms is the right button, once", () => {
  const it = hand().at(0).down("a");
  assert.deepEqual(it.at(449).take(), []);
  assert.deepEqual(it.at(450).take(), ["haptic", "press right", "release right"]);
  assert.deepEqual(it.at(900).up("a").at(2000).take(), []);
});

test("a finger that has moved does not become the right button", () => {
  assert.ok(!hand().at(0).down("a").at(100).move("a", 130, 100).at(2000).up("a").at(3000).take().includes("press right"));
});

test("the pointer goes as far as the finger when it is slow, further when it is fast", () => {
  const distance = (step) => {
    const it = hand().at(0).down("a").at(16).move("a", 110, 100);
    it.raw();
    it.at(32).move("a", 110 + step, 100);
    return it.raw().reduce((sum, one) => sum + one.x, 0);
  };
  assert.ok(distance(1) < 1.01, "one by one");
  assert.ok(distance(20) > 20 * 1.8, "fast");
  for (let speed = 0; speed < 4; speed += 0.1) assert.ok(gain(speed + 0.1) >= gain(speed) && gain(speed) <= 3);
});

test("what was held back until the finger meant it is not lost", () => {
  const it = hand().at(0).down("a").at(300).move("a", 109, 100);
  assert.ok(it.raw()[0].x >= 9 * 0.8);
});

test("a finger that is elsewhere all at once has not gone there", () => {
  assert.equal(gainOf(400, 16), 0);
  const it = hand().at(0).down("a").at(16).move("a", 110, 100);
  it.raw();
  it.at(32).move("a", 400, 400);
  assert.deepEqual(it.take(), []);
});

test("two fingers that tap are the right button", () => {
  assert.deepEqual(hand().at(0).down("a").at(30).down("b", 160).at(90).up("a").at(110).up("b").at(999).take(), ["press right", "release right"]);
  assert.deepEqual(hand().at(0).down("a").at(30).down("b", 160).at(800).up("a").up("b").at(999).take(), [], "not when they rest");
});

test("two fingers that go turn the wheel against their way, in whole notches, and do not click", () => {
  const it = hand().at(0).down("a").at(10).down("b", 160);
  for (let step = 1; step <= 10; step++) it.at(10 + step * 16).moveAll({ a: [100, 100 + step * 10], b: [160, 100 + step * 10] });
  it.at(900).up("a").at(910).up("b").at(3000);
  const notches = it.take();
  assert.ok(notches.every((one) => /^wheel -?0,-1$/.test(one)), notches.join());
  assert.ok(notches.length >= 3 && notches.length <= 4, notches.join());
});

test("where content does not follow the fingers the wheel turns with them", () => {
  const it = hand();
  it.gestures.natural = false;
  it.at(0).down("a").down("b", 160).at(16).moveAll({ a: [100, 120], b: [160, 120] }).at(32).moveAll({ a: [100, 160], b: [160, 160] });
  assert.ok(it.take().every((one) => /^wheel -?0,1$/.test(one)));
});

test("the wheel rolls on after fast fingers, ever more slowly, and stands still under the next one", () => {
  const flick = () => {
    const it = hand().at(0).down("a").down("b", 160);
    for (let step = 1; step <= 6; step++) it.at(step * 16).moveAll({ a: [100, 100 + step * 24], b: [160, 100 + step * 24] });
    it.at(100).up("a").at(104).up("b");
    it.take();
    return it;
  };
  const it = flick();
  const early = it.at(304).take().length;
  const late = it.at(1304).take().length;
  assert.ok(early > 3, `rolls: ${early}`);
  assert.ok(late < early * 4, "slower");
  assert.ok(it.at(9000).take().length < 3 && it.gestures.due === undefined, "stands still");
  const stopped = flick().at(200);
  stopped.take();
  stopped.down("a").at(230).up("a").at(4000);
  assert.deepEqual(stopped.take(), [], "the finger has stopped it, and clicked nothing");
});

test("fingers that rest before they leave do not roll on", () => {
  const it = hand().at(0).down("a").down("b", 160);
  for (let step = 1; step <= 6; step++) it.at(step * 16).moveAll({ a: [100, 100 + step * 24], b: [160, 100 + step * 24] });
  it.take();
  it.at(600).up("a").up("b").at(3000);
  assert.deepEqual(it.take(), []);
});

test("fingers have to part by a tenth before they zoom, and the first tenth is not made up for", () => {
  const it = hand().at(0).down("a", 100, 100).down("b", 200, 100);
  it.at(16).moveAll({ a: [97, 100], b: [203, 100] });
  assert.deepEqual(it.take(), []);
  it.at(32).moveAll({ a: [94, 100], b: [206, 100] });
  assert.deepEqual(it.take(), [], "decided, and nothing jumps");
  it.at(48).moveAll({ a: [44, 100], b: [256, 100] });
  const [zoom] = it.raw();
  assert.equal(zoom.kind, "zoom");
  assert.ok(Math.abs(zoom.factor - 212 / 112) < 1e-9);
  assert.equal(zoom.x, 150);
});

test("what two fingers do first, they do until they leave", () => {
  const it = hand().at(0).down("a", 100, 100).down("b", 200, 100).at(16).moveAll({ a: [100, 130], b: [200, 130] });
  it.at(32).moveAll({ a: [40, 160], b: [260, 160] });
  assert.ok(!it.take().includes("zoom"));
  const other = hand().at(0).down("a", 100, 100).down("b", 200, 100).at(16).moveAll({ a: [60, 100], b: [240, 100] });
  other.at(32).moveAll({ a: [60, 200], b: [240, 200] });
  assert.deepEqual([...new Set(other.take())], ["zoom"]);
});

test("one of two fingers that stays does not move the pointer", () => {
  const it = hand().at(0).down("a").down("b", 160).at(16).moveAll({ a: [100, 130], b: [160, 130] }).up("b").at(60).move("a", 300, 300).up("a").at(3000);
  assert.deepEqual(it.take().filter((one) => one.startsWith("move") || one.startsWith("press")), []);
});

test("three fingers that tap fold the keys; upwards they bring the keyboard", () => {
  const three = () => hand().at(0).down("a", 50).at(10).down("b", 100).at(20).down("c", 150);
  assert.deepEqual(three().at(100).up("a").up("b").up("c").at(999).take(), ["keys"]);
  const up = three().at(60).moveAll({ a: [50, 50], b: [100, 50], c: [150, 50] }).at(100).up("a").up("b").up("c").at(999);
  assert.deepEqual(up.take(), ["keyboard"]);
  assert.deepEqual(three().at(60).moveAll({ a: [50, 160], b: [100, 160], c: [150, 160] }).at(100).up("a").up("b").up("c").at(999).take(), []);
});

test("a hand of four fingers means nothing", () => {
  const it = hand().at(0).down("a", 50).down("b", 100).down("c", 150).down("d", 200).at(90).up("a").up("b").up("c").up("d").at(999);
  assert.deepEqual(it.take(), []);
});

test("what the system takes away is let go, and clicks nothing", () => {
  assert.deepEqual(hand().at(0).down("a").at(50).cancel("a").at(999).take(), []);
  const drag = hand().at(0).down("a").at(60).up("a").at(120).down("a").at(150).move("a", 150, 100).cancel("a").at(999);
  assert.deepEqual(drag.take(), ["press left", "moveBy", "release left"]);
});

test("a finger whose end was not told has left", () => {
  const it = hand().at(0).down("a").at(60).up("a").at(120).down("a").at(150).move("a", 150, 100).lose("a").at(400).down("b", 300);
  assert.deepEqual(it.take(), ["press left", "moveBy", "release left"]);
  it.at(450).up("b").at(999);
  assert.deepEqual(it.take(), ["press left", "release left"], "the next finger begins anew");
  // The same number comes again without an end in between.
  const same = hand().at(0).down("a").at(60).up("a").at(100).down("a").at(120).move("a", 150, 100).at(500).down("a", 10, 10).at(540).up("a").at(2000);
  assert.deepEqual(same.take(), ["press left", "moveBy", "release left", "press left", "release left"]);
});

test("a finger of which nothing is known is not followed", () => {
  const gestures = new Gestures("trackpad");
  const stray = new Finger(7, 1, 1);
  assert.deepEqual(gestures.take({ phase: "move", time: 0, changed: [stray], all: [stray] }), []);
  assert.deepEqual(gestures.take({ phase: "up", time: 1, changed: [stray], all: [] }), []);
});

test("a finger on another control beside the pad is not counted", () => {
  const gestures = new Gestures("trackpad");
  const [mine, other] = [new Finger(0, 10, 10), new Finger(5, 300, 600)];
  gestures.take({ phase: "down", time: 0, changed: [mine], all: [mine, other] });
  assert.deepEqual(gestures.take({ phase: "up", time: 50, changed: [mine], all: [other] }).map((one) => one.kind), ["press"]);
});

test("a palm beside a finger that drags does not end the drag", () => {
  const it = hand().at(0).down("a").at(60).up("a").at(120).down("a").at(150).move("a", 150, 100).down("b", 300, 300).at(200).move("a", 180, 100).up("b").at(300).up("a").at(999);
  assert.deepEqual(it.take(), ["press left", "moveBy", "moveBy", "release left"]);
});

test("directly, a tap clicks at the finger, and a second one beside it at the same place", () => {
  const it = hand("direct").at(0).down("a", 40, 50).at(60).up("a");
  assert.deepEqual(it.take(), ["moveTo 40,50", "press left"]);
  it.at(150).down("a", 46, 52).at(200).up("a").at(999);
  assert.deepEqual(it.take(), ["release left", "press left", "release left"]);
  const far = hand("direct").at(0).down("a", 40, 50).at(60).up("a").at(150).down("a", 200, 52).at(200).up("a").at(999);
  assert.deepEqual(far.take(), ["moveTo 40,50", "press left", "release left", "moveTo 200,52", "press left", "release left"]);
});

test("directly, a finger that goes drags from where it began, after 8 vp", () => {
  const it = hand("direct").at(0).down("a", 40, 50).at(16).move("a", 47, 50);
  assert.deepEqual(it.take(), []);
  it.at(32).move("a", 60, 50).at(48).move("a", 80, 50).up("a").at(999);
  assert.deepEqual(it.take(), ["moveTo 40,50", "press left", "moveTo 60,50", "moveTo 80,50", "release left"]);
});

test("directly, a finger that rests is the right button there, with a ring", () => {
  assert.deepEqual(hand("direct").at(0).down("a", 40, 50).at(450).take(), ["haptic", "moveTo 40,50", "ring 40,50", "press right", "release right"]);
});

test("directly, two fingers tap between them, and turn the wheel where they are", () => {
  assert.deepEqual(hand("direct").at(0).down("a", 100, 100).at(10).down("b", 140, 120).at(60).up("a").at(70).up("b").take(), ["moveTo 120,110", "press right", "release right"]);
  const it = hand("direct").at(0).down("a", 100, 100).down("b", 140, 100).at(16).moveAll({ a: [100, 150], b: [140, 150] }).at(32).moveAll({ a: [100, 200], b: [140, 200] });
  assert.equal(it.take()[0], "moveTo 120,150");
});

test("a pen's tip is the left button at once, its side button the right one", () => {
  const it = hand("direct").at(0).down("a", 40, 50, { pen: true });
  assert.deepEqual(it.take(), ["moveTo 40,50", "press left"]);
  it.at(2000).move("a", 41, 50).up("a").at(3000);
  assert.deepEqual(it.take(), ["moveTo 41,50", "release left"], "a pen that rests is no long press");
  assert.deepEqual(hand("direct").at(0).down("a", 1, 2, { pen: true, penButton: true }).up("a").take(), ["moveTo 1,2", "press right", "release right"]);
});

test("another mode lets go of what is held", () => {
  const it = hand().at(0).down("a").at(60).up("a").at(100).down("a").at(120).move("a", 150, 100).use("direct");
  assert.deepEqual(it.take(), ["press left", "moveBy", "release left"]);
});

test("whatever fingers do, what is pressed is released", () => {
  let seed = 7;
  const random = (below) => (seed = (seed * 1103515245 + 12345) % 2147483648) % below;
  for (let run = 0; run < 400; run++) {
    const it = hand(run % 2 ? "direct" : "trackpad");
    const on = new Set();
    let now = 0;
    for (let step = 0; step < 60; step++) {
      const name = "abcd"[random(4)];
      it.at(now += random(200));
      if (!on.has(name)) it.down(name, random(400), random(400)) && on.add(name);
      else if (random(3) > 0) it.move(name, random(400), random(400));
      else if (random(8) > 0) it.up(name) && on.delete(name);
      else if (random(2)) it.lose(name) && on.delete(name);
      else it.cancel(name) && on.clear();
    }
    it.use("trackpad");
    const held = new Set();
    for (const one of it.raw()) {
      if (one.kind === "press") assert.ok(!held.has(one.button) && held.add(one.button), "pressed twice");
      if (one.kind === "release") assert.ok(held.delete(one.button), "released twice");
      if (one.kind === "wheel") assert.ok(Number.isInteger(one.x) && Number.isInteger(one.y));
    }
    assert.equal(held.size, 0);
  }
});

test("a wheel gives whole notches and keeps the rest", () => {
  const wheel = new Wheel();
  wheel.begin(0);
  let sum = 0;
  for (let step = 1; step <= 100; step++) {
    wheel.move(0, 5, step * 16);
    sum += wheel.takeY();
  }
  assert.equal(sum, Math.floor(500 / 24));
});

test("a point of the view is a point of the component, in bars and enlarged too", () => {
  const zoom = new Zoom();
  zoom.view(400, 300);
  zoom.guest(1600, 800);
  // The picture is 400 × 200 with bars of 50 above and below.
  assert.equal(zoom.fit, 0.25);
  assert.deepEqual([zoom.toGuestX(200), zoom.toGuestY(150)], [800, 400]);
  assert.deepEqual([zoom.toGuestX(0), zoom.toGuestY(10)], [0, 0], "on a bar: the edge");
  assert.deepEqual([zoom.ofGuestX(800), zoom.ofGuestY(0)], [200, 50]);
  zoom.pinch(2, 100, 150, 0, 0);
  assert.equal(zoom.factor, 2);
  assert.ok(Math.abs(zoom.toGuestX(100) - 400) < 1e-9, "what was under the fingers still is");
  assert.equal(zoom.onComponentX(100), 100);
  zoom.pinch(9, 100, 150, 0, 0);
  assert.equal(zoom.factor, 4, "4 at most");
  zoom.pinch(0.01, 100, 150, 0, 0);
  assert.deepEqual([zoom.factor, zoom.x, zoom.y], [1, 0, 0], "1 at least, and as it was");
});

test("an enlarged picture covers the view, and the view follows the pointer to the edges", () => {
  const zoom = new Zoom();
  zoom.view(400, 300);
  zoom.guest(1600, 800);
  zoom.pinchAt(3, 0, 0);
  assert.equal(zoom.onComponentX(0), 0);
  assert.ok(Math.abs(zoom.onComponentY(0) - 50) < 1e-9, "no bar above");
  zoom.follow(1599, 799);
  assert.ok(Math.abs(zoom.onComponentX(400) - 400) < 1e-9);
  assert.ok(Math.abs(zoom.onComponentY(300) - 250) < 1e-9);
  zoom.follow(799.5, 399.5);
  assert.ok(Math.abs(zoom.toGuestX(200) - 800) < 1);
  // Whatever it is asked for, no bar comes into a view that the picture can cover.
  for (const [dx, dy] of [[9999, 9999], [-9999, -9999]]) {
    zoom.pinch(1, 0, 0, dx, dy);
    assert.ok(zoom.onComponentX(0) >= -1e-9 && zoom.onComponentX(400) <= 400 + 1e-9);
    assert.ok(zoom.onComponentY(0) >= 50 - 1e-9 && zoom.onComponentY(300) <= 250 + 1e-9);
  }
});
