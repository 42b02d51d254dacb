// How long it takes from a key in the browser to other pixels on its canvas, and what a guest that paints all the time comes to.
//
//   node measure.js [HOW OFTEN]
//
// The machine is the painting one of tests/napi: 640 × 400, and each key repaints all of it by the slow path of VGA.
import { join } from "node:path";
import { folder, modulePath, native, qemu, until } from "../../napi/lib/module.js";
import { painted, paintingMachine } from "../../napi/lib/machines.js";
import { Surface, standIn } from "../../napi/lib/stand-in.js";
import { launch } from "./browser.js";
import { site } from "./page/site.js";
import { serve } from "./server.js";

const turns = Number(process.argv[2] ?? 200);
const home = folder();
const server = await serve({ native, modulePath, home: join(home, "library"), libraries: qemu, pages: site() });
const browser = await launch();
const page = await browser.newPage();
await page.goto(server.url);
await until("the page has opened the library", () => native.machines.list());
const id = await paintingMachine(home, "painter");
await page.click(`[data-machine="${id}"]`);
await painted(id, "green");
await page.waitForFunction(() => document.querySelector("#screen").height === 400);

/** In the page: the milliseconds of each turn of one kind. */
async function measured(turns) {
  const { native } = globalThis.sampanHost;
  const canvas = document.querySelector("#screen");
  const context = canvas.getContext("2d");
  const pixel = (y) => String(context.getImageData(320, y, 1, 1).data);
  const changed = (y, before) => new Promise((resolve) => {
    const look = () => {
      if (pixel(y) === before) return;
      canvas.removeEventListener("sampanframe", look);
      resolve(performance.now());
    };
    canvas.addEventListener("sampanframe", look);
  });
  const key = (type, code) => canvas.dispatchEvent(new KeyboardEvent(type, { code }));
  const times = { calls: [], first: [], whole: [] };
  for (let turn = 0; turn < turns; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 50 + 7 * (turn % 8)));
    let begun = performance.now();
    await native.serial.open("", 0).catch(() => {});
    times.calls.push(performance.now() - begun);
    const waits = [changed(0, pixel(0)), changed(399, pixel(399))];
    begun = performance.now();
    key("keydown", turn % 2 ? "KeyA" : "KeyD");
    const [first, whole] = await Promise.all(waits);
    key("keyup", turn % 2 ? "KeyA" : "KeyD");
    times.first.push(first - begun);
    times.whole.push(whole - begun);
  }
  return times;
}

/** The same without a browser: from the call to another picture on a surface of this process. */
async function inside(turns) {
  const surface = new Surface(standIn(modulePath));
  const screen = await native.screen.attach(id, 640, 400);
  await native.screen.draw(screen, surface.id, 640, 400, true);
  const whole = [];
  let look = () => {};
  const now = () => surface.shown()?.pixels.readUInt32LE((399 * 640 + 320) * 4);
  surface.watch(() => look());
  for (let turn = 0; turn < turns; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 50 + 7 * (turn % 8)));
    const before = now();
    const changed = new Promise((resolve) => {
      look = () => before !== undefined && now() !== before && resolve();
    });
    const begun = performance.now();
    native.input.key(screen, turn % 2 ? 2017 : 2020, true);
    await changed;
    whole.push(performance.now() - begun);
    native.input.key(screen, turn % 2 ? 2017 : 2020, false);
  }
  native.screen.detach(screen);
  return whole;
}

/** In the page: frames of three seconds in which the guest paints as often as it can. */
async function flooded() {
  const { native } = globalThis.sampanHost;
  let frames = 0;
  const canvas = document.querySelector("#screen");
  canvas.addEventListener("sampanframe", () => { frames += 1; });
  const begun = performance.now();
  for (let turn = 0; performance.now() - begun < 3000; turn++) {
    const code = turn % 2 ? "KeyA" : "KeyD";
    for (const type of ["keydown", "keyup"]) canvas.dispatchEvent(new KeyboardEvent(type, { code }));
    // An answer comes after all input before it.
    await native.host.figures();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return frames / ((performance.now() - begun) / 1000);
}

await until("there is a surface", () => page.evaluate(() => document.querySelector("#status").textContent.startsWith("showing")));
const times = await page.evaluate(measured, turns);
times.inside = await inside(turns);
for (const [name, all] of Object.entries(times)) {
  all.sort((a, b) => a - b);
  const at = (part) => all[Math.floor((all.length - 1) * part)].toFixed(1);
  const words = {
    calls: "a call and its answer", first: "key to first other pixels", whole: "key to all other pixels", inside: "the same without bridge and browser",
  };
  console.log(`${words[name]}: median ${at(0.5)} ms, 95 % ${at(0.95)} ms, worst ${at(1)} ms (${all.length})`);
}
console.log(`a guest that repaints all the time: ${(await page.evaluate(flooded)).toFixed(0)} frames a second, each of 1 MB`);
await browser.close();
await native.life.forceOff(id);
await server.close();
process.exit(0);
