// Machines that live in this process, as in the app's.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { afterEach, before, test } from "node:test";
import { closeSync, openSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { folder, native, qemu, rejection, until } from "./lib/module.js";
import { colours, painted, paintingMachine, pixels, state, tinyMachine } from "./lib/machines.js";

const home = folder();
const library = join(home, "library");

before(async () => {
  assert.equal(await rejection(native.machines.list()), "not_initialised");
  assert.equal(await rejection(native.life.start("x").run(() => {})), "not_initialised");
  assert.deepEqual(await native.host.init(library, qemu), []);
});

// What a test that failed has left running disturbs no other.
afterEach(async () => {
  for (const { id, state } of await native.machines.list()) {
    if (!["off", "suspended", "crashed"].includes(state)) await native.life.forceOff(id);
  }
});

test("a machine is made, started, seen, driven, kept, saved and resumed", async () => {
  const id = await paintingMachine(home, "painter");
  assert.equal(await state(id), "off");
  assert.equal(await rejection(native.life.pause(id), (error) => {
    assert.equal(error.params.name, "painter");
    assert.match(error.message, /does not run/);
  }), "not_running");

  const told = await native.life.start(id).run();
  assert.deepEqual(told.map(({ code }) => code), ["probing", "starting"]);
  await painted(id, "green");
  assert.equal(await rejection(native.life.start(id).run()), "runs_already");
  const shown = await native.machines.show(id);
  assert.equal(shown.status.summary.state, "running");
  assert.equal(shown.status.summary.memory, 64);
  assert.equal(JSON.parse(shown.document).system.name, "painter");
  assert.ok(shown.status.summary.lastUsed >= shown.status.summary.created - 1000 && !shown.status.summary.throwAway);
  assert.equal(shown.status.agent, undefined, "nobody answers in such a guest");
  // Nobody in the guest lists programs.
  assert.match(await rejection(native.guest.apps(id, "en")), /^(agent_silent|no_agent_channel)$/);
  await native.guest.pin(id, "one", "One");
  assert.equal((await native.guest.pinned(id)).length, 1, "also while it runs");
  await native.life.pause(id);
  assert.equal((await native.machines.show(id)).status.pausedBy, "person");
  await native.life.resume(id);
  assert.equal((await native.machines.show(id)).status.pausedBy, undefined);

  const { width, height, png } = await native.screen.screenshot(id);
  assert.deepEqual([width, height, pixels(png).at(width - 1, height - 1)], [640, 400, colours.green], "VGA shows its 320 × 200 doubled");
  const shot = join(home, "shot.png");
  const out = openSync(shot, "w+");
  const bytes = await native.screen.screenshotTo(id, { fd: out, name: "shot.png" });
  closeSync(out);
  assert.equal(statSync(shot).size, bytes);
  assert.deepEqual(pixels(readFileSync(shot)).at(0, 0), colours.green);
  // A key that goes down and up reaches the guest, by OpenHarmony's number of it: D, whose low bits are red.
  const screen = await native.screen.attach(id, 640, 400);
  native.input.key(screen, 2020, true);
  native.input.key(screen, 2020, false);
  await painted(id, "red");

  const progress = [];
  const snapshot = await native.snapshots.create(id, "red", "as it was", false).run((now) => progress.push(now));
  const { nodes, now } = await native.snapshots.list(id);
  assert.deepEqual(nodes.map(({ id, name, note, memory }) => ({ id, name, note, memory })),
    [{ id: snapshot, name: "red", note: "as it was", memory: true }]);
  assert.equal(now, snapshot);
  assert.ok(nodes[0].frees > 0 && nodes[0].frees < nodes[0].size, "its disk is what the machine goes on with");
  for (const { phase, done, total } of progress) assert.ok(phase === "memory" && done <= total, phase);

  // Text is typed on a US keyboard: all of it, or nothing where it cannot be.
  await native.input.text(screen, "a").run();
  await painted(id, "blue");
  assert.equal(await rejection(native.input.text(screen, "测").run()), "untypable");
  // Nothing draws here, and it says so; input goes on.
  assert.equal(await rejection(native.screen.draw(screen, "no number", 640, 400, true)), "invalid");
  assert.equal(await rejection(native.screen.draw(screen, "42", 640, 400, true)), "system_library_missing");
  native.screen.resize(screen, "42", 320, 200, false);
  native.screen.leave(screen, "42");
  native.screen.detach(screen);
  assert.equal(await rejection(native.screen.draw(screen, "42", 640, 400, true)), "screen_gone");

  await native.life.suspend(id).run();
  assert.equal(await state(id), "suspended");
  await native.life.start(id).run();
  await painted(id, "blue");
  assert.equal(await native.life.shutDown(id, 300).run(), false, "it hears no power button");
  await native.life.forceOff(id);

  assert.equal(await rejection(native.snapshots.restore(id, snapshot).run(), (error) => {
    assert.match(error.params.codes, /changes_lost/);
  }), "needs_confirm");
  assert.equal(await native.snapshots.restore(id, snapshot, undefined, ["changes_lost"]).run(), true);
  await native.life.start(id).run();
  await painted(id, "red");
  await native.life.forceOff(id);
  await native.machines.remove(id);
  assert.deepEqual((await native.machines.trash()).map((one) => one.id), [id]);
  await native.machines.restore(id);
  await native.machines.remove(id);
  await native.machines.purge(id);
  assert.deepEqual(await native.machines.trash(), []);
});

test("two machines live in one process, each with its own console", async () => {
  const heard = new Map();
  const off = native.on("serial", ({ serial, data }) => {
    heard.set(serial, (heard.get(serial) ?? "") + Buffer.from(data).toString());
  });
  const ids = [await tinyMachine("one", "guest=one"), await tinyMachine("two", "guest=two")];
  await Promise.all(ids.map((id) => native.life.start(id).run()));
  const consoles = await Promise.all(ids.map((id) => native.serial.open(id, 65536)));
  assert.notEqual(consoles[0], consoles[1]);
  // The kernel tells its command line, and the line discipline echoes what is typed once init has the console.
  const said = (console) => heard.get(console) ?? "";
  for (const [console, name] of [[consoles[0], "one"], [consoles[1], "two"]]) {
    await until("the kernel speaks", () => said(console).includes(`guest=${name}`));
  }
  await until("init has the console", () => /Run \/init as init process/.test(said(consoles[0])));
  await until("what is typed comes back", () => {
    native.serial.write(consoles[0], Buffer.from("hello\n"));
    return said(consoles[0]).includes("hello");
  });
  assert.doesNotMatch(said(consoles[1]), /hello|guest=one/);
  assert.deepEqual(await Promise.all(ids.map(state)), ["running", "running"]);
  for (const id of ids) {
    const log = (await native.logs.runs(id)).at(-1);
    assert.ok(log.size > 0, "each has a log of its own");
    assert.equal((await native.logs.read(id, log.run, 0, 16)).length, 16);
    assert.equal(await rejection(native.logs.read(id, "../manifest.json", 0, 16)), "io");
  }
  consoles.forEach((console) => native.serial.close(console));
  await Promise.all(ids.map((id) => native.life.forceOff(id)));
  assert.deepEqual(await Promise.all(ids.map(state)), ["off", "off"]);
  off();
});

test("an app that is killed is told what became of its machines, and they start again", async () => {
  const id = await paintingMachine(home, "victim");
  const program = fileURLToPath(new URL("lib/runner.js", import.meta.url));
  const other = join(home, "other");
  // Another process has this machine in a library of its own, runs it, and is killed with it.
  const runner = (...args) => spawn(process.execPath, [program, other, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = async (child) => {
    let text = "";
    for await (const piece of child.stdout) {
      text += piece;
      if (text.endsWith("\n")) return JSON.parse(text);
    }
    throw new Error(`it ended without a word: ${text}`);
  };
  const first = runner("run");
  const { machine } = await lines(first);
  first.kill("SIGKILL");
  await new Promise((resolve) => first.once("exit", resolve));

  const second = runner("look", machine);
  const told = await lines(second);
  assert.equal(told.ends.length, 1);
  assert.equal(told.ends[0].machine, machine);
  assert.equal(told.ends[0].kind, "died");
  assert.match(told.report, /ended without a word/);
  assert.match(told.report, /\[ +\d+\.\d{3}\] /, "the last lines of its log");
  assert.equal(told.before, "crashed");
  assert.equal(told.dismissed, "off", "whoever has seen the report hears of it no more");
  assert.ok(told.exported.includes(told.report) && /==== run-\d+-00\.log ====/.test(told.exported));
  assert.equal(told.after, "running");
  await new Promise((resolve) => second.once("exit", resolve));
  await native.machines.remove(id);
});

test("what the system does with the app reaches its machines", async () => {
  const id = await paintingMachine(home, "background");
  assert.deepEqual(await native.app.toBackground("save", 60_000), [], "none runs");
  await native.app.toForeground();
  await native.life.start(id).run();
  await painted(id, "green");
  assert.deepEqual((await native.app.lowMemory()).map(({ did }) => did), ["nothing"], "somebody looks at it");
  const dids = (all) => all.map(({ machine, did }) => [machine, did]);
  assert.deepEqual(dids(await native.app.toBackground("pause", 60_000)), [[id, "paused"]]);
  assert.deepEqual(dids(await native.app.toForeground()), [[id, "resumed"]]);
  assert.equal(await state(id), "running");
  assert.deepEqual(dids(await native.app.toBackground("save", 60_000)), [[id, "suspended"]]);
  const picture = await native.machines.thumbnail(id);
  assert.deepEqual(pixels(picture.png).at(0, 0), colours.green, "what it showed last");
  assert.deepEqual(dids(await native.app.toForeground(id)), [[id, "started"]]);
  assert.equal(await state(id), "running");
  await native.app.toBackground("runOn", 0);
  const { status } = await native.machines.show(id);
  assert.ok(status.background);
  assert.deepEqual((await native.app.lowMemory()).map(({ machine, did }) => [machine, did]), [[id, "suspended"]]);
  assert.equal(await state(id), "suspended");
  await native.life.start(id).run();
  await native.app.toForeground();
  const ends = await native.app.aboutToEnd(60_000);
  assert.deepEqual(ends.map(({ machine, did }) => [machine, did]), [[id, "suspended"]]);
  await native.life.start(id).run();
  // With no time left its disks are whole all the same.
  const [cut] = await native.app.aboutToEnd(0);
  assert.equal(cut.did, "shutDown");
  assert.equal(cut.refused.code, "no_time");
  assert.equal(await state(id), "off");
  await native.machines.remove(id);
});

// Its one start is what an emulated processor gets done.
test("machines go out and come in by descriptors", async () => {
  const id = await paintingMachine(home, "traveller");
  const archive = join(home, "traveller.sampan");
  const out = openSync(archive, "w");
  const bytes = await native.machines.exportTo(id, { fd: out, name: "traveller.sampan" }).run();
  closeSync(out);
  assert.equal(statSync(archive).size, bytes);
  const fd = openSync(archive, "r");
  const job = native.machines.importFrom({ fd, name: "traveller.sampan" }, "arrived");
  // The page may close its own at once.
  closeSync(fd);
  const { id: arrived, name, notes } = await job.run();
  assert.deepEqual([name, notes], ["arrived", []]);
  await native.life.start(arrived).run();
  await painted(arrived, "green");
  await native.life.forceOff(arrived);
  const nothing = openSync("/dev/null", "r");
  assert.equal(await rejection(native.machines.importFrom({ fd: nothing, name: "x.ova" }).run()), "invalid");
  closeSync(nothing);
  assert.equal(await rejection(native.machines.importFrom({ fd: 9999, name: "x.ova" }).run()), "io");
  assert.equal(await rejection(native.machines.importFrom({ fd: 0, name: "" }).run()), "bad_name");
  assert.ok(readFileSync(archive).length > 0);
});
