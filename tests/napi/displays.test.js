// A machine with two displays, each on a surface of its own by the code that draws on a device.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import net from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { folder, modulePath, native, qemu, rejection, until } from "./lib/module.js";
import { pixels, tinyMachine } from "./lib/machines.js";
import { Surface, standIn } from "./lib/stand-in.js";

// musl's Node.js loads the build for OpenHarmony.
const skip = !process.report.getReport().header.glibcVersionRuntime &&
  "the module for OpenHarmony draws with the system's own library, which is not here; a device has to prove it";
const home = folder();
const [A, B] = [2017, 2018];
/** The tiny guest's paper, on the first and the second display. */
const PAPERS = [[0x18, 0x24, 0x30], [0x30, 0x18, 0x24]];
const RED = [0xff, 0x20, 0x20];
let functions;
let server;
let guest;
let id;
let status;
const said = [];

before(async () => {
  if (skip) return;
  functions = standIn(modulePath);
  await native.host.init(join(home, "library"), qemu);
  server = net.createServer((socket) => {
    guest = socket.on("error", () => {});
    createInterface({ input: socket }).on("line", (line) => {
      try {
        said.push(JSON.parse(line));
      } catch {
        // Half a line from before it was connected.
      }
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  id = await tinyMachine("desk");
  const port = JSON.stringify([
    "-chardev", `socket,id=guest,host=127.0.0.1,port=${server.address().port}`,
    "-device", "virtserialport,chardev=guest,name=sampan.guest",
  ]);
  await native.machines.change(id, [{ field: "displays.heads", value: "2" }, { field: "extra.arguments", value: port }], []);
  native.on("machine", (told) => {
    if (told.summary.id === id) status = told;
  });
  await native.life.start(id).run();
  await until("the guest is there", () => said.some(({ hello }) => hello !== undefined));
  await until("its tablet", () => status?.absolute);
});

after(async () => {
  if (skip) return;
  await native.life.forceOff(id).catch(() => {});
  guest?.destroy();
  server?.close();
  assert.equal(functions.faults(), 0, "no rule of the NDK is broken");
});

/** A surface that shows a display of the machine, and its screen. */
async function shown(display, width, height) {
  const surface = new Surface(functions);
  const screen = await native.screen.attach(id, width, height, display);
  await native.screen.draw(screen, surface.id, width, height, false);
  return { surface, screen };
}

const near = (pixel, colour) => pixel.every((part, i) => Math.abs(part - colour[i]) <= 2);

/** Waits until a surface shows a colour at a place of a picture of this size. */
function shows({ surface }, [width, height], [x, y], colour) {
  let seen;
  return until(`${colour} at ${x},${y} of ${width}×${height}`, () => {
    const now = surface.shown();
    if (now?.width !== width || now.height !== height) return false;
    const [b, g, r] = now.pixels.subarray((y * width + x) * 4);
    seen = [r, g, b];
    return near(seen, colour);
  }).catch((error) => {
    throw new Error(`${error.message}; last ${seen}`);
  });
}

const sizes = () => (status?.displays ?? []).map(({ width, height }) => width && [width, height]);
/** Waits until the guest says something after what it had said. */
const says = (what, from, good) => until(what, () => said.slice(from).find(good));

test("a display that the machine does not have is refused, and counts from 1", { skip }, async () => {
  for (const display of [3, 17, 0xffffffff]) {
    assert.equal(await rejection(native.screen.attach(id, 640, 400, display), ({ params }) => {
      assert.deepEqual(params, { display, count: 2 });
    }), "no_display");
  }
  assert.equal(await rejection(native.screen.attach(id, 640, 400, 0), ({ params }) => {
    assert.equal(params.field, "display");
  }), "invalid");
  assert.equal(await rejection(native.screen.screenshot(id, 3)), "no_display");
});

test("two displays are shown at once, each with its size, its picture and its pointer", { skip }, async () => {
  await until("the machine says that the second is dark", () => sizes().length === 2 && sizes()[0] && sizes()[1] === undefined);
  assert.deepEqual(status.displays.map(({ display }) => display), [1, 2]);
  const first = await shown(undefined, 800, 600);
  native.screen.resize(first.screen, first.surface.id, 800, 600, true);
  await shows(first, [800, 600], [300, 300], PAPERS[0]);

  let from = said.length;
  const second = await shown(2, 640, 480);
  await says("the guest finds it", from, ({ displays }) => displays?.length === 2 && displays[1][0] === 640);
  await shows(second, [640, 480], [300, 300], PAPERS[1]);
  await until("the machine tells both", () => String(sizes()) === "800,600,640,480");
  const { width, height, at } = await native.screen.screenshot(id, 2).then(({ png }) => pixels(png));
  assert.deepEqual([width, height], [640, 480]);
  assert.ok(near(at(300, 300), PAPERS[1]));

  // The second stands to the right of the first.
  const press = async ({ screen }, x, y, place) => {
    const before = said.length;
    // What is pointed at before the guest has opened its tablet is lost.
    await until(`the pointer at ${place}`, () => {
      native.input.moveTo(screen, x, y);
      return said.slice(before).some(({ pointer }) => String(pointer) === String(place));
    });
    native.input.button(screen, "left", true);
    await says("the button", before, ({ pointer, buttons }) => buttons === 1 && String(pointer) === String(place));
    native.input.button(screen, "left", false);
    await says("its release", before, ({ buttons }) => buttons === 0);
  };
  await press(second, 500, 300, [1300, 300]);
  await shows(second, [640, 480], [500, 300], RED);
  await press(first, 600, 500, [600, 500]);
  await shows(first, [800, 600], [600, 500], RED);
  await shows(second, [640, 480], [600, 400], PAPERS[1]);

  // A key that is held in one window stays down when the other one lets go of all.
  from = said.length;
  const keys = (down) => said.slice(from).filter((one) => one.key !== undefined && one.down === down).map(({ key }) => key);
  native.input.key(second.screen, B, true);
  await until("B is down", () => keys(true).length === 1);
  native.input.key(first.screen, A, true);
  await until("A is down", () => keys(true).length === 2);
  native.input.releaseAll(first.screen);
  await until("a key is up", () => keys(false).length > 0);
  assert.deepEqual(keys(false), [keys(true)[1]], "A alone");
  native.input.key(second.screen, B, false);
  await until("B is up", () => keys(false).length === 2);

  // Each follows its own window.
  from = said.length;
  native.screen.resize(second.screen, second.surface.id, 720, 400, true);
  await says("its new size", from, ({ displays }) => displays?.[1]?.[0] === 720);
  await shows(second, [720, 400], [300, 300], PAPERS[1]);
  assert.deepEqual(sizes()[0], [800, 600], "the first keeps its own");

  // Without a viewer it is dark again after a while, and the first goes on.
  from = said.length;
  native.screen.leave(second.screen, second.surface.id);
  native.screen.detach(second.screen);
  await says("it is disconnected", from, ({ displays }) => displays?.length === 1);
  await until("the machine says that it is dark", () => sizes().length === 2 && sizes()[1] === undefined);
  assert.equal(await rejection(native.screen.draw(second.screen, second.surface.id, 640, 480, false)), "screen_gone");
  await press(first, 300, 200, [300, 200]);
  await shows(first, [800, 600], [300, 200], RED);
  native.screen.detach(first.screen);
});

test("a further display is connected where nothing is drawn, and what is held there goes up with it", { skip }, async () => {
  const from = said.length;
  const screen = await native.screen.attach(id, 512, 384, 2);
  await says("the guest finds it", from, ({ displays }) => displays?.[1]?.[0] === 512);
  native.input.key(screen, A, true);
  await says("A is down", from, ({ key, down }) => key !== undefined && down === true);
  native.screen.detach(screen);
  await says("A is up", from, ({ key, down }) => key !== undefined && down === false);
});
