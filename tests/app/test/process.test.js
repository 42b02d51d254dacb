// The kind of process that machines run in: each with its reason, for all machines and for one.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { paintingMachine } from "../../napi/lib/machines.js";
import { home, library, native, openPage, seen, start } from "./lib/pages.js";

let app, painter;

before(async () => {
  await library();
  painter = await paintingMachine(home, "painter");
});
after(async () => {
  await app?.close();
  await native.host.setProcess(null);
});

test("a kind is chosen for all machines, kept, and told again when the app is started anew", async () => {
  const preferences = {};
  app = await start({ preferences });
  await app.until(() => app.has("#tab_mine"));
  const { router } = await app.env.modules["viewmodel/Router"]();
  router().openMine("settings");
  await app.until(() => app.has("#set_process"));
  await app.click("#set_process");
  await app.until(() => app.has("#proc_fork"));
  // This computer has no HarmonyOS: why not is told, and it cannot be chosen.
  const why = app.find("#proc_nativeChild_why").textContent;
  assert.ok(why.length > 10, why);
  await app.click("#proc_nativeChild");
  assert.notEqual((await native.host.capabilities()).process, "nativeChild");
  assert.match(app.find("#proc_fork_why").textContent, /process of its own/i);
  await app.click("#proc_fork");
  await app.until(async () => (await native.host.capabilities()).process === "fork");
  await app.until(() => preferences.settings.process === "fork");
  await app.close();
  await native.host.setProcess(null);
  app = await start({ preferences });
  await app.until(async () => (await native.host.capabilities()).process === "fork");
});

test("a machine has a choice of its own, or goes along with all", async () => {
  await app.close();
  app = await start({ language: "zh_CN" });
  await openPage(app, painter, "#more_process");
  await app.until(() => app.has("#proc_fork"));
  await app.click("#proc_fork");
  await app.until(async () => (await native.host.processOf(painter)) === "fork");
  await app.click("#proc_auto");
  await app.until(async () => (await native.host.processOf(painter)) === null);
  // What is tapped last counts, also while the one before is still being kept.
  await app.click("#proc_fork");
  app.click("#proc_inProcess");
  await app.until(async () => (await native.host.processOf(painter)) === "inProcess");
  await app.click("#proc_auto");
  await app.until(async () => (await native.host.processOf(painter)) === null);
  await native.life.start(painter).run();
  await seen(app, "zh_CN", "hw_counts_next");
  await native.life.forceOff(painter);
});

test("what is done to one thing keeps nobody from doing it to another, and nothing is done twice", async () => {
  const { Work } = await app.env.modules["viewmodel/Work"]();
  const work = new Work();
  const done = [];
  let end;
  const gate = new Promise((resolve) => (end = resolve));
  const remove = (what) => work.does("remove", async () => {
    done.push(what);
    await gate;
  }, what);
  const all = [remove("one"), remove("one"), remove("other")];
  end();
  assert.deepEqual(await Promise.all(all), [true, false, true]);
  assert.deepEqual(done, ["one", "other"]);
});
