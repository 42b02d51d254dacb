// What the system does with the app, and what becomes of its machines.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { colours, painted, paintingMachine, pixels, state } from "../../napi/lib/machines.js";
import { home, library, native, start } from "./lib/pages.js";

let app;
let id;

before(async () => {
  await library();
  id = await paintingMachine(home, "painter");
});
after(() => app?.close());

const becomes = (wanted) => app.until(async () => (await state(id)) === wanted, 60_000);

async function running(options) {
  await app?.close();
  app = await start({ language: "zh_CN", ...options });
  await app.until(() => app.has(`#act_${id}`) || app.has("#machine_primary"));
  await app.click(app.has(`#act_${id}`) ? `#act_${id}` : "#machine_primary");
  await becomes("running");
  await painted(id, "green");
}

test("a phone's app that leaves the front saves its machines, and the one on the screen goes on by itself", async () => {
  await running();
  await app.background();
  await becomes("suspended");
  await app.foreground();
  await becomes("running");
});

test("one whose screen is not in front waits to be resumed", async () => {
  await app.back();
  await app.until(() => app.has(`#open_${id}`));
  await app.background();
  await becomes("suspended");
  await app.foreground();
  await app.until(() => app.texts().some((text) => text.startsWith("随时继续 · 1")));
  assert.equal(await state(id), "suspended");
});

test("a suspended machine shows what it showed last, also after the app was ended", async () => {
  assert.equal(await state(id), "suspended");
  await app.close();
  app = await start({ language: "zh_CN" });
  await app.until(() => app.has(`#picture_${id}`) && /data:image\/png/.test(app.find(`#picture_${id}`).outerHTML));
  const { png } = await native.machines.thumbnail(id);
  assert.deepEqual(pixels(png).at(0, 0), colours.green);
});

test("who does not want that has them paused, and they go on with the app", async () => {
  await running({ preferences: { settings: { suspendInBackground: false } } });
  await app.background();
  await becomes("paused");
  await app.foreground();
  await becomes("running");
});

test("on a PC they run on", async () => {
  await running({ width: 1280, height: 800, device: { type: "2in1" } });
  await app.background();
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.equal(await state(id), "running");
  await app.foreground();
});

test("work that goes on while nobody looks is told by notices, which go when somebody looks again", async () => {
  // One that was never started: what is suspended is not cloned.
  const still = await paintingMachine(home, "still");
  await app?.close();
  app = await start({ language: "zh_CN" });
  await app.until(() => app.has(`#machine_${still}`));
  await app.background();
  const { id: copy } = await native.machines.clone(still, "copy", false).run();
  const noticed = (what) => app.calls.filter(({ name }) => name === `notificationManager.${what}`);
  await app.until(() => noticed("publish").some(({ args }) => args[0].content.normal.text === "已完成"));
  const [last] = noticed("publish").at(-1).args;
  assert.match(last.content.normal.title, /still/);
  await app.foreground();
  await app.until(() => noticed("cancel").length > 0);
  await native.machines.remove(copy);
});
