// Programs that are pinned: a tap starts their machine and waits for its agent, and can be given up.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { paintingMachine, state } from "../../napi/lib/machines.js";
import { home, library, native, seen, start } from "./lib/pages.js";

let app;
let id;
let mute;
/** While it is true, no change of the machines reaches the pages. */
let isBehind = false;

before(async () => {
  await library();
  id = await paintingMachine(home, "painter");
  // Its guest has no agent, but a port for one: whoever waits cannot know that nobody will come.
  await native.machines.change(id, [{ field: "serial.agent", value: JSON.stringify("virtio") }], []);
  await native.guest.pin(id, "gimp", "GIMP");
  mute = await paintingMachine(home, "mute");
  await native.guest.pin(mute, "gimp", "GIMP");
  const on = (kind, listener) => native.on(kind, (event) => (isBehind && kind.startsWith("machine")) || listener(event));
  app = await start({ language: "zh_CN", native: { ...native, on, host: { ...native.host, init: () => library() } } });
  await app.until(() => app.has(`#machine_${id}`));
});
after(() => app?.close());

test("a pinned program starts its machine, waits for the agent, and is given up without ending the machine", async () => {
  await app.click("#tab_apps");
  await app.until(() => app.has(`#program_${id}_gimp`));
  await app.click(`#program_${id}_gimp`);
  await app.until(() => app.sees("正在等待虚拟机里的助手"), 60_000);
  assert.equal(await state(id), "running");
  await app.click("#prog_cancel");
  await app.until(() => !app.has("#prog_cancel"));
  assert.equal(await state(id), "running");
});

test("the agent is waited for while the list of machines is behind, as on a busy device", async () => {
  await native.life.forceOff(id);
  await app.until(async () => (await state(id)) === "off");
  const { machines } = await app.env.modules["viewmodel/Machines"]();
  await app.until(() => machines().find(id).summary.state === "off");
  isBehind = true;
  await app.click(`#program_${id}_gimp`);
  await app.until(() => app.sees("正在等待虚拟机里的助手"), 60_000);
  // Calls to one agent take turns: when the second of these has its answer, the page has had one.
  for (let n = 0; n < 2; n++) await assert.rejects(native.guest.agent(id), { code: "agent_silent" });
  await app.settle();
  assert.equal(machines().find(id).summary.state, "off");
  assert.ok(app.has("#prog_step") && !app.has("#error_card"));
  isBehind = false;
  await app.click("#prog_cancel");
  await app.until(() => !app.has("#prog_cancel"));
});

test("a machine without a port for an agent says so at once, and nobody waits", async () => {
  await app.click(`#program_${mute}_gimp`);
  await app.until(() => app.has("#error_card"), 60_000);
  await seen(app, "zh_CN", "err_no_agent_channel_what");
  await app.click("#prog_cancel");
  await app.until(() => !app.has("#error_card"));
  await native.life.forceOff(mute);
});

test("why a program does not start stays in view until it is closed", async () => {
  await app.click(`#program_${id}_gimp`);
  await app.until(() => app.has("#prog_step"));
  await native.life.forceOff(id);
  await app.until(() => app.has("#error_card"), 60_000);
  await app.click("#prog_cancel");
  await app.until(() => !app.has("#error_card"));
});
