// Sound of a machine, the microphone's permission, and files given to the guest.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { paintingMachine } from "../../napi/lib/machines.js";
import { home, library, native, openPage, runs, seen, start } from "./lib/pages.js";

let app, painter;
const file = join(home, "letter — 信.txt");

before(async () => {
  await library();
  painter = await paintingMachine(home, "painter");
  writeFileSync(file, "a letter");
});
after(async () => {
  await app?.close();
  await native.life.forceOff(painter).catch(() => {});
});

const described = async () => JSON.parse((await native.machines.show(painter)).document).sound;

/** The app with the sheet of a running machine's screen. */
async function opened(options = {}) {
  await app?.close();
  // An app that ends saves what runs.
  await runs(painter);
  app = await start(options);
  await app.until(() => app.has(`#machine_${painter}`) || app.has(`#picture_${painter}`));
  const { router } = await app.env.modules["viewmodel/Router"]();
  router().openScreen(painter);
  await app.until(() => app.has("#dock_more") || app.has("#screen_name"));
  await more();
}

async function more() {
  await app.click("#dock_more");
  await app.until(() => app.has("#snd_volume"));
}

const slide = async (value) => {
  const slider = app.find("#snd_volume");
  slider.value = String(value);
  app.fire("#snd_volume", "input");
  app.fire("#snd_volume", "change");
  await app.settle();
};

test("a machine is made softer and silent from its screen, at once and for later starts", async () => {
  const heard = [];
  const off = native.on("sound", (now) => heard.push(now));
  await opened();
  await slide(40);
  await app.until(async () => (await described()).volume === 40);
  assert.ok(app.texts(app.find("#more_sound")).includes("40%"));
  assert.match(app.find("#snd_volume").getAttribute("aria-label"), /Volume/);
  await app.click("#snd_mute");
  await app.until(async () => (await described()).muted);
  await seen(app, "base", "snd_silent", "#snd_value");
  // Louder is meant to be heard.
  await slide(70);
  await app.until(async () => !(await described()).muted && (await described()).volume === 70);
  await app.until(() => heard.some((now) => now.machine === painter && Math.abs(now.volume - 0.7) < 0.001 && !now.muted));
  off();
});

test("the microphone is asked for when it is turned on, and stays off where the system refuses it", async () => {
  await opened({ device: { permissions: { "ohos.permission.MICROPHONE": false } } });
  const asked = () => app.calls.filter(({ name }) => name === "permissions.request").length;
  assert.equal(asked(), 0, "nobody is asked before");
  assert.equal((await described()).microphone, false);
  await app.click("#snd_microphone");
  await app.until(() => asked() === 1);
  await seen(app, "base", "snd_refused");
  await app.until(() => app.find("#snd_microphone").getAttribute("aria-checked") !== "true");
  assert.equal((await described()).microphone, false);
  // In the settings of the system they change their mind.
  app.env.device.permissions["ohos.permission.MICROPHONE"] = true;
  await app.click("#snd_ask");
  await app.until(async () => (await described()).microphone);
  assert.ok(!app.has("#snd_ask"));
  await app.click("#snd_microphone");
  await app.until(async () => !(await described()).microphone);
});

test("the same is in the hardware of a machine that is off, and a permission that was taken back is told", async () => {
  await app.close();
  // The app that ended has saved it, and a saved machine is changed no more.
  await runs(painter, { discardState: true });
  await native.life.forceOff(painter);
  await native.sound.set(painter, 0.3, false, true);
  app = await start({ device: { permissions: { "ohos.permission.MICROPHONE": false } }, language: "zh_CN" });
  await openPage(app, painter, "#detail_hardware");
  await app.until(() => app.has("#snd_volume"));
  assert.equal(app.find("#snd_volume").value, "30");
  await seen(app, "zh_CN", "snd_refused");
  await app.click("#snd_mute");
  await app.until(async () => (await described()).muted);
  await native.sound.set(painter, 1, false, false);
});

test("a file is chosen for the guest; one that nobody there takes says so", async () => {
  await opened({ picks: [[file], []] });
  await app.click("#more_give");
  await app.until(() => app.has("#error_card"), 60_000);
  await seen(app, "base", "err_no_file_agent_what");
  await seen(app, "base", "give_not");
  await app.click("#give_close");
  await app.until(() => !app.has("#error_card"));
  // Who chooses none has given none.
  await more();
  await app.click("#more_give");
  await app.settle();
  assert.ok(!app.has("#give_cancel") && !app.has("#error_card"));
});

test("files that are dropped on the picture go one after the other, with how far they are; one can be cancelled", async () => {
  const given = [];
  let end, cancelled;
  const give = (machine, { name }) => {
    given.push([machine, name]);
    return {
      id: `give ${given.length}`,
      cancel: () => cancelled(Object.assign(new Error("cancelled"), { code: "cancelled", params: {} })),
      run: (tell) => new Promise((resolve, reject) => {
        [end, cancelled] = [resolve, reject];
        tell({ phase: "copy", done: 25, total: 100 });
      }),
    };
  };
  await opened({ native: { ...native, guest: { ...native.guest, give }, host: { ...native.host, init: () => library() } } });
  await app.back();
  const drop = () => app.fire("#guest_view", "drop", { uris: [file, file] });
  drop();
  await app.until(() => app.has("#give_cancel"));
  await app.until(() => app.texts(app.find("#give_bar")).includes("25%"));
  assert.deepEqual(given, [[painter, "letter — 信.txt"]]);
  end("");
  await app.until(() => given.length === 2);
  await seen(app, "base", "give_done");
  await app.until(() => app.has("#give_cancel"));
  end("/tmp/letter.txt");
  await seen(app, "base", "give_done_at");
  await app.until(() => !app.has("#give_cancel"));
  drop();
  await app.until(() => app.has("#give_cancel"));
  await app.click("#give_cancel");
  await app.until(() => !app.has("#give_cancel"));
  // Cancelled is no failure, and the rest is not sent.
  assert.ok(!app.has("#error_card"));
  assert.equal(given.length, 3);
});
