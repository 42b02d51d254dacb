// Machines drawn on surfaces by the code that draws on a device, as the system's compositor sees them.
import assert from "node:assert/strict";
import { afterEach, before, test } from "node:test";
import { join } from "node:path";
import { folder, modulePath, native, qemu, rejection, until } from "./lib/module.js";
import { colours, paintingMachine, pixels } from "./lib/machines.js";
import { Surface, standIn } from "./lib/stand-in.js";

// musl's Node.js loads the build for OpenHarmony.
const skip = !process.report.getReport().header.glibcVersionRuntime &&
  "the module for OpenHarmony draws with the system's own library, which is not here; a device has to prove it";
const home = folder();
const D = 2020;
const A = 2017;
let functions;
let id;
let screen;

before(async () => {
  if (skip) return;
  functions = standIn(modulePath);
  await native.host.init(join(home, "library"), qemu);
  id = await paintingMachine(home, "painter");
});

afterEach(async () => {
  if (skip) return;
  if (screen) native.screen.detach(screen);
  screen = undefined;
  await native.life.forceOff(id).catch(() => {});
  assert.equal(functions.faults(), 0, "no rule of the NDK is broken");
});

/** Starts the machine and shows its screen on a surface. */
async function showing(surface, opaque = false) {
  await native.life.start(id).run();
  screen = await native.screen.attach(id, 640, 400);
  await native.screen.draw(screen, surface.id, 640, 400, opaque);
}

function press(code) {
  native.input.key(screen, code, true);
  native.input.key(screen, code, false);
}

/** Waits until each pixel that is shown has this colour. On an opaque surface the fourth byte is no matter. */
function shows(surface, colour, opaque = false) {
  const [r, g, b] = colours[colour];
  const wanted = Buffer.from([b, g, r, 0xff]).readUInt32LE();
  const mask = opaque ? 0xffffff : 0xffffffff;
  return until(`surface ${surface.id} shows ${colour}`, () => {
    const shown = surface.shown();
    if (shown?.width !== 640 || shown.height !== 400) return false;
    for (let at = 0; at < shown.pixels.length; at += 4) {
      if ((shown.pixels.readUInt32LE(at) ^ wanted) & mask) return false;
    }
    return shown;
  });
}

test("what a surface shows is the guest's picture, pixel by pixel, and follows it", { skip }, async () => {
  const surface = new Surface(functions);
  surface.set("padding", 64);
  const told = [];
  const off = native.on("screen", (status) => told.push(status));
  const sizes = new Set();
  let rung = 0;
  surface.watch(() => {
    rung += 1;
    sizes.add(`${surface.get("width")} × ${surface.get("height")}`);
  });
  await showing(surface);
  const { pixels: drawn, width, height } = await shows(surface, "green");
  const { png } = await native.screen.screenshot(id);
  const { at } = pixels(png);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [b, g, r] = drawn.subarray((y * width + x) * 4);
      assert.deepEqual([r, g, b], at(x, y), `${x}, ${y}`);
    }
  }
  press(D);
  await shows(surface, "red");
  press(A);
  await shows(surface, "blue");
  await until("the page is told", () => told.at(-1)?.state === "showing");
  assert.deepEqual([told.at(-1).screen, told.at(-1).width, told.at(-1).height], [screen, 640, 400]);
  assert.ok(rung >= 3 && sizes.has("640 × 400"), `${rung} times: ${[...sizes]}`);
  // Nothing changes, so nothing is drawn.
  const flushed = surface.get("flushed");
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal(surface.get("flushed"), flushed);
  off();
  native.screen.leave(screen, surface.id);
});

test("a surface that is left is drawn on no more, and another one gets the whole picture", { skip }, async () => {
  const first = new Surface(functions);
  await showing(first, true);
  await shows(first, "green", true);
  native.screen.leave(screen, first.id);
  assert.deepEqual([first.get("windows"), first.get("outstanding")], [0, 0], "its window is closed when the call returns");
  const flushed = first.get("flushed");
  press(D);
  const second = new Surface(functions);
  await native.screen.draw(screen, second.id, 1280, 800, false);
  await shows(second, "red");
  assert.equal(first.get("flushed"), flushed);
  first.destroy();
  // Notices of the old one come late.
  native.screen.resize(screen, first.id, 10, 10, false);
  native.screen.leave(screen, first.id);
  press(A);
  await shows(second, "blue");
});

test("a surface of another size shows the same picture, and the guest is asked for its size alone if it is to follow", { skip }, async () => {
  const surface = new Surface(functions);
  await showing(surface);
  await shows(surface, "green");
  for (const [width, height, follow] of [[1280, 800, false], [333, 777, true], [1, 1, false], [640, 400, false]]) {
    native.screen.resize(screen, surface.id, width, height, follow);
  }
  press(D);
  await shows(surface, "red");
  assert.equal(surface.get("scaling"), 4, "the compositor fits it in");
});

test("a surface that ends while it is drawn on is told of, and another one takes its place", { skip }, async () => {
  const first = new Surface(functions);
  const told = [];
  const off = native.on("screen", (status) => told.push(status));
  await showing(first);
  await shows(first, "green");
  first.destroy();
  press(D);
  const lost = await until("the page is told", () => told.find(({ state }) => state === "lost"));
  assert.equal(lost.screen, screen);
  assert.match(lost.why.code, /^[a-z_]+$/);
  const second = new Surface(functions);
  await native.screen.draw(screen, second.id, 640, 400, false);
  await shows(second, "red");
  off();
});

test("a surface that there never was is lost after a while, and its screen takes input", { skip }, async () => {
  const told = [];
  const off = native.on("screen", (status) => told.push(status));
  await native.life.start(id).run();
  screen = await native.screen.attach(id, 640, 400);
  await native.screen.draw(screen, "42", 640, 400, false);
  await until("it is given up", () => told.some(({ state }) => state === "lost"));
  press(D);
  native.screen.detach(screen);
  assert.equal(await rejection(native.screen.draw(screen, "42", 640, 400, true)), "screen_gone");
  off();
});
