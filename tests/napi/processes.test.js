// The kinds of processes that machines run in, as a page chooses among them.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { folder, native, qemu, rejection, until } from "./lib/module.js";
import { painted, paintingMachine, state } from "./lib/machines.js";

const home = folder();

before(() => native.host.init(join(home, "library"), qemu));

// What a test that failed has left running disturbs no other.
afterEach(async () => {
  for (const { id, state } of await native.machines.list()) {
    if (!["off", "suspended", "crashed"].includes(state)) await native.life.forceOff(id);
  }
});

after(() => native.host.setProcess(null));

/** The children of a process, with their names. */
function children(pid) {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) => {
    try {
      return readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(/\s+/).filter(Boolean);
    } catch {
      return []; // A thread that has just ended.
    }
  }).map((child) => ({ pid: Number(child), name: readFileSync(`/proc/${child}/comm`, "utf8").trim() }));
}

const zygote = () => children(process.pid).find(({ name }) => name === "sampan-zygote").pid;

test("each kind of process is told with a reason, and how guests run in it", async () => {
  const { processes } = await native.host.capabilities();
  assert.deepEqual(processes.map(({ kind }) => kind), ["nativeChild", "fork", "inProcess"]);
  const [child, fork, here] = processes;
  // A PC has no HarmonyOS.
  assert.deepEqual([child.usable, child.why.code, child.accelerators], [false, "system_library_missing", []]);
  assert.deepEqual([fork.usable, fork.why.code], [true, "host_runs_apart"]);
  assert.deepEqual([here.usable, here.why.code], [true, "host_runs_within"]);
  for (const { accelerators } of [fork, here]) {
    assert.deepEqual(accelerators.map(({ name }) => name), ["kvm", "tcg", "tci"]);
    assert.ok(accelerators.every(({ why }) => why.message !== ""));
  }
});

test("a machine in a fork is seen and driven, and its death is its own", async () => {
  await native.host.setProcess("fork");
  assert.equal((await native.host.capabilities()).process, "fork");
  const victim = await paintingMachine(home, "victim");
  const other = await paintingMachine(home, "other");
  const told = await native.life.start(victim).run();
  assert.match(told.at(-1).message, /^starting it in a forked process of its own/);
  const [{ pid }] = children(zygote());
  await native.life.start(other).run();
  assert.equal(children(zygote()).length, 2);
  await painted(victim, "green");
  const screen = await native.screen.attach(victim, 640, 400);
  native.input.key(screen, 2020, true);
  native.input.key(screen, 2020, false);
  await painted(victim, "red");
  native.screen.detach(screen);

  process.kill(pid, "SIGKILL");
  await until("its end is told", async () => (await state(victim)) === "crashed");
  assert.match((await native.logs.report(victim)) ?? "", /SIGKILL/);
  assert.equal(await state(other), "running");
  await painted(other, "green");
  await native.life.suspend(other).run();
  assert.equal(await state(other), "suspended");
  await until("both are reaped", () => children(zygote()).length === 0);
});

test("a machine has a choice of its own, and one that cannot be had is an error", async () => {
  await native.host.setProcess("fork");
  const id = await paintingMachine(home, "own");
  assert.equal(await native.host.processOf(id), null);
  await native.host.setProcessOf(id, "inProcess");
  assert.equal(await native.host.processOf(id), "inProcess");
  const told = await native.life.start(id).run();
  assert.match(told.at(-1).message, /^starting it inside this process/);
  assert.deepEqual(children(zygote()), []);
  await native.life.forceOff(id);

  await native.host.setProcessOf(id, "nativeChild");
  const code = await rejection(native.life.start(id).run(), ({ params, message }) => {
    assert.equal(params.host, "native-child");
    assert.match(message, /libchild_process\.so.*choose another kind, or none/);
  });
  assert.equal(code, "no_host");
  await native.host.setProcessOf(id, null);
  assert.equal(await native.host.processOf(id), null);
  await native.host.setProcess(null);
  // Without a choice the best one is taken, which keeps accidents apart.
  assert.match((await native.life.start(id).run()).at(-1).message, /in a forked process of its own/);
});
