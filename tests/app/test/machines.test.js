// The list of machines and a machine's pages, tapped as a person does, with real machines behind them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { painted, paintingMachine, smallest, state } from "../../napi/lib/machines.js";
import { home, library, native, start } from "./lib/pages.js";

const PC = { width: 1280, height: 800, device: { type: "2in1" } };
let app;

before(library);
after(() => app?.close());

/** Starts the app anew, as after its end; the machines stay. */
async function opened(options = {}) {
  await app?.close();
  app = await start({ language: "zh_CN", ...options });
  // A link may have opened a page above the tabs.
  await app.until(() => app.has("#tab_machines") || app.has("#wizard_next") || app.sees("想运行什么系统？"));
}
const becomes = (id, wanted) => app.until(async () => (await state(id)) === wanted, 60_000);

/** Presses a button as soon as it can be pressed: while something is done with a machine it is not. */
async function press(what) {
  await app.until(() => app.has(what) && app.find(what).getAttribute("aria-disabled") !== "true" && !app.find(what).hasAttribute("disabled"));
  await app.click(what);
}

test("the first start leads to a machine in three ways", async () => {
  await opened();
  await app.until(() => app.sees("还没有虚拟机"));
  assert.ok(app.has("#empty_new") && app.has("#empty_import"));
  await app.until(() => app.has("#empty_quick"));
  assert.match(app.texts(app.find("#empty_quick")).join(), /^试试 Alpine .*MB）$/);
  await app.click("#empty_quick");
  await app.until(() => app.has("#quick_create"));
  assert.ok(app.texts().includes("512 MB"), "what it takes is said before");
});

test("in English the same", async () => {
  await opened({ language: "base" });
  await app.until(() => app.sees("No machines yet"));
  assert.ok(app.texts().every((text) => !/[\u4e00-\u9fff]/.test(text)), "no Chinese is left");
});

test("the list follows machines that come, change and go elsewhere", async () => {
  await opened();
  const { id } = await native.machines.create(smallest("One"), []).run();
  await app.until(() => app.has(`#machine_${id}`));
  assert.ok(app.texts().some((text) => text.startsWith("已关机 · 1")));
  await native.machines.change(id, [{ field: "name", value: '"Another"' }], []);
  await app.until(() => app.sees("Another"));
  await native.machines.remove(id);
  await app.until(() => app.sees("还没有虚拟机"));
});

test("a machine is started, paused, kept, suspended and resumed by taps, and going back stops nothing", async () => {
  await opened();
  const id = await paintingMachine(home, "painter");
  await app.until(() => app.has(`#act_${id}`));
  await press(`#act_${id}`);
  await becomes(id, "running");
  await painted(id, "green");
  await app.until(() => app.sees("触控板"));
  await app.back();
  await app.until(() => app.has(`#open_${id}`));
  assert.equal(await state(id), "running");
  assert.ok(app.texts().some((text) => text.startsWith("正在运行 · 1")));

  await press(`#pause_${id}`);
  await becomes(id, "paused");
  await app.until(() => app.has(`#resume_${id}`));
  await press(`#resume_${id}`);
  await becomes(id, "running");

  await app.click("painter");
  await app.until(() => app.has("#machine_state"));
  await app.click("#strip_take");
  await app.until(() => app.has("#snap_do"));
  await app.type("#snap_name", "before");
  await app.click("#snap_do");
  await app.until(async () => (await native.snapshots.list(id)).nodes.length === 1, 60_000);
  await app.until(() => app.sees("before"));

  await press("#quick_suspend");
  await becomes(id, "suspended");
  await app.back();
  await app.until(() => app.texts().some((text) => text.startsWith("随时继续 · 1")));
  await press(`#act_${id}`);
  await becomes(id, "running");
  await app.back();
});

test("going back to a snapshot keeps the present, and the machine runs from there", async () => {
  const [{ id }] = await native.machines.list();
  await app.until(() => app.has(`#open_${id}`));
  await app.click("painter");
  await app.click("#strip_now");
  const [{ id: node }] = (await native.snapshots.list(id)).nodes;
  await app.until(() => app.has(`#snap_back_${node}`));
  await app.click(`#snap_back_${node}`);
  await app.until(() => app.has("#snap_back_do"));
  await app.click("#snap_back_do");
  await app.until(() => app.sees("已回到“before”"), 60_000);
  await becomes(id, "running");
  const { nodes, now } = await native.snapshots.list(id);
  assert.equal(nodes.length, 2, "the present was kept");
  assert.equal(now, node);
});

test("an app that ends keeps its machines, and the next start goes on where they were", async () => {
  const [{ id }] = await native.machines.list();
  await opened();
  await becomes(id, "suspended");
  await app.until(() => app.texts().some((text) => text.startsWith("随时继续 · 1")));
  await press(`#act_${id}`);
  await becomes(id, "running");
  await app.back();
});

test("the power is cut only after the question, and the safe answer does nothing", async () => {
  const [{ id }] = await native.machines.list();
  await app.until(() => app.has(`#machine_${id}`));
  await app.longPress(`#machine_${id}`);
  await app.until(() => app.has("#menu_force_off"));
  await app.click("#menu_force_off");
  await app.until(() => app.sees("没存盘的内容会丢失"));
  await app.click("取消");
  assert.equal(await state(id), "running");
  await app.longPress(`#machine_${id}`);
  await app.click("#menu_force_off");
  await app.until(() => app.sees("没存盘的内容会丢失"));
  await app.click("强制断电");
  await becomes(id, "off");
});

test("a deleted machine comes back by undoing", async () => {
  const [{ id }] = await native.machines.list();
  await app.longPress(`#machine_${id}`);
  await app.until(() => app.has("#menu_delete"));
  await app.click("#menu_delete");
  await app.until(() => app.has("#notice_action"));
  assert.deepEqual(await native.machines.list(), []);
  await app.click("#notice_action");
  await app.until(() => app.has(`#machine_${id}`));
});

test("on a PC the list stays beside the machine, which is chosen from the start", async () => {
  await opened({ ...PC, language: "base" });
  await app.until(() => app.has("#machine_primary"));
  assert.ok(app.has("#machines_title"), "the list is there, too");
  const { id } = await native.machines.create(smallest("Second"), []).run();
  await app.until(() => app.has(`#machine_${id}`));
  await app.click("Second");
  await app.until(() => app.texts(app.find("#machine_state")).length > 0);
  assert.ok(app.texts().filter((text) => text === "Second").length >= 2, "in the list and as the page's title");
});

test("from eight machines on they can be searched", async () => {
  for (let i = 0; i < 6; i++) await native.machines.create(smallest(`many ${i}`), []).run();
  await app.until(() => app.has("#machines_search"));
  await app.type("#machines_search", "many 3");
  await app.until(() => !app.has("many 4"));
  assert.ok(app.has("many 3"));
  await app.type("#machines_search", "no such");
  await app.until(() => app.has("#nothing_found"));
  await app.type("#machines_search", "");
});

test("links open a machine's page, and nothing starts by them", async () => {
  const [{ id, state: before }] = await native.machines.list();
  await opened({ want: { uri: `sampan://machine/${id}` } });
  await app.until(() => app.has("#machine_primary"));
  assert.equal(await state(id), before);
  await opened({ want: { uri: "sampan://machine/nowhere" } });
  await app.until(() => app.sees("这台虚拟机已经不在了"));
  await opened({ want: { parameters: { open: "wizard" } } });
  await app.until(() => app.sees("想运行什么系统？"));
});

test("a keyboard opens the wizard and turns the tabs", async () => {
  await opened({ ...PC });
  await app.until(() => app.has("#new_machine"));
  await app.key("3", { ctrl: true, code: "Digit3" });
  await app.until(() => app.has("#mine_title"));
  await app.key("1", { ctrl: true, code: "Digit1" });
  await app.until(() => app.has("#new_machine"));
  await app.key("n", { ctrl: true });
  await app.until(() => app.sees("想运行什么系统？"));
});
