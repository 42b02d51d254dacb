// Guests that are heard on the device's loudspeaker, by the code that plays on a device, as the system's sound library has it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import net from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { folder, modulePath, native, qemu, until } from "./lib/module.js";
import { tinyMachine } from "./lib/machines.js";
import { standIn } from "./lib/stand-in.js";

// musl's Node.js loads the build for OpenHarmony.
const skip = !process.report.getReport().header.glibcVersionRuntime &&
  "the module for OpenHarmony plays with the system's own library, which is not here; a device has to prove it";
const home = folder();
let functions;
let server;
let guest;
const said = [];

before(async () => {
  if (skip) return;
  functions = standIn(modulePath);
  await native.host.init(join(home, "library"), qemu);
  // QEMU connects the guest's port to us, anew at each start.
  server = net.createServer((socket) => {
    guest = socket.on("error", () => {});
    createInterface({ input: socket }).on("line", (line) => said.push(line));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
});

after(async () => {
  for (const { id, state } of skip ? [] : await native.machines.list()) {
    if (!["off", "suspended", "crashed"].includes(state)) await native.life.forceOff(id);
  }
  guest?.destroy();
  server?.close();
});

test("a guest is heard while it plays, and goes on after its memory was saved", { skip }, async () => {
  const id = await tinyMachine("player");
  const value = JSON.stringify([
    "-chardev", `socket,id=guest,host=127.0.0.1,port=${server.address().port}`,
    "-device", "virtserialport,chardev=guest,name=sampan.guest",
  ]);
  await native.machines.change(id, [{ field: "extra.arguments", value }], []);
  const { features } = await native.machines.show(id);
  const state = (name) => features.find(({ feature }) => feature === name).state;
  assert.deepEqual(["sound", "microphone", "clipboard", "sizes"].map(state), ["works", "off", "notKnown", "byDriver"]);
  assert.equal(features.find(({ feature }) => feature === "microphone").field, "sound.microphone");

  await native.life.start(id).run();
  await until("the guest is there", () => said.some((line) => line.includes('"hello"')));
  assert.deepEqual([functions.sound(0), functions.played()], [0, 0], "nothing is played, and no stream is made");
  // The card begins muted, and its mixer may not be there yet when the first sound begins.
  guest.write('{"cmd":"play","hz":0,"ms":100,"level":0}\n');
  await until("the card starts", () => said.some((line) => line.includes('"done":"play"')));
  guest.write('{"cmd":"play","hz":440,"ms":60000,"level":50}\n');
  await until("it is heard", () => functions.loudest(0) > 10_000);
  assert.equal(functions.sound(0), 1);
  await native.life.suspend(id).run();
  await until("the loudspeaker is given back", () => functions.sound(0) === 0);

  const before = functions.played();
  await native.life.start(id).run();
  // Nobody told it to.
  await until("the rest is heard", () => functions.loudest(before) > 10_000);
  await native.life.forceOff(id);
  await until("the loudspeaker is given back", () => functions.sound(0) === 0);
  assert.equal(functions.sound(1), 0, "no rule of the library is broken");
});
