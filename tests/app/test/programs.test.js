// Programs that are pinned: a tap starts their machine and waits for its agent, and can be given up.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { paintingMachine, state } from "../../napi/lib/machines.js";
import { home, library, native, start } from "./lib/pages.js";

let app;
let id;

before(async () => {
  await library();
  id = await paintingMachine(home, "painter");
  await native.guest.pin(id, "gimp", "GIMP");
  app = await start({ language: "zh_CN" });
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

test("why a program does not start stays in view until it is closed", async () => {
  await app.click(`#program_${id}_gimp`);
  await app.until(() => app.has("#prog_step"));
  await native.life.forceOff(id);
  await app.until(() => app.has("#error_card"), 60_000);
  await app.click("#prog_cancel");
  await app.until(() => !app.has("#error_card"));
});
