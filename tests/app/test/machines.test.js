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
  await app.click(`#snap_more_${node}`);
  await app.click("#snap_edit");
  await app.until(() => app.has("#snap_do"));
  await app.type("#snap_name", "the first");
  await app.click("#snap_do");
  await app.until(() => app.sees("the first"));
  assert.equal((await native.snapshots.list(id)).nodes.find((one) => one.id === node).name, "the first");
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
  // The list has heard that it runs: its menu is that of a machine that does.
  await app.until(() => app.has(`#open_${id}`));
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

test("keys on a row of the list: its screen, start and pause, its name, its end", async () => {
  await opened({ ...PC, language: "base" });
  const id = (await native.machines.list()).find(({ name }) => name === "painter").id;
  const row = `#machine_${id}`;
  await app.until(() => app.has(row));
  const { router } = await app.env.modules["viewmodel/Router"]();
  const press = (key, options) => app.key(key, { what: row, ...options });
  app.find(row).focus();
  await press(" ");
  await becomes(id, "running");
  assert.deepEqual(router().root.getAllPathName(), [], "it starts where it stands");
  await app.until(() => app.texts(app.find(row)).some((one) => /CPU/.test(one)));
  await press(" ");
  await becomes(id, "paused");
  await app.until(() => app.texts(app.find(row)).includes("Paused"));
  await press(" ");
  await becomes(id, "running");
  await press("Delete");
  assert.equal(await state(id), "running", "what runs is not deleted");
  await press(" ", { ctrl: true });
  assert.equal(await state(id), "running", "with Ctrl it is another key");
  await press("F2");
  await app.until(() => app.has("#name_field"));
  assert.equal(app.find("#name_field").value, "painter");
  await app.type("#name_field", "Painter 2");
  await app.click("#name_do");
  await app.until(() => app.texts(app.find(row)).includes("Painter 2"));
  const called = app.calls.length;
  await press("Enter");
  await app.until(() => app.calls.slice(called).some(({ name, args }) => name === "context.startAbility" && args[0].parameters.machine === id));
  router().root.clear();
  await native.life.forceOff(id);
  await becomes(id, "off");
  await app.until(() => app.has(row));
  await press("Delete");
  await app.until(async () => !(await native.machines.list()).some((one) => one.id === id));
  await app.click("#notice_action");
  await app.until(() => app.has(row));
});

test("Ctrl+F searches few machines, too; from twenty on one kind can be shown alone", async () => {
  const made = [];
  try {
    const before = (await native.machines.list()).length;
    for (let i = before; i < 20; i++) made.push((await native.machines.create(smallest(`more ${i}`), []).run()).id);
    await app.until(() => app.has("#chip_off"));
    const all = (await native.machines.list()).length;
    await app.until(() => app.texts(app.find("#chip_all")).join().includes(`All · ${all}`));
    await app.click("#chip_running");
    await app.until(() => !app.has(`#machine_${made[0]}`));
    await app.click("#chip_all");
    await app.until(() => app.has(`#machine_${made[0]}`));
  } finally {
    for (const id of made) await native.machines.remove(id).then(() => native.machines.purge(id));
  }
  await app.until(() => !app.has("#chip_off"));
  await app.key("f", { ctrl: true });
  await app.until(() => app.document.activeElement?.id === "machines_search" || app.find("#machines_search").contains(app.document.activeElement));
});

test("after a kill the app is where it was; after its end it begins at the beginning", async () => {
  const preferences = {};
  await opened({ language: "base", preferences });
  const { id } = (await native.machines.list())[0];
  await app.until(() => app.has(`#machine_${id}`));
  await app.click(`#machine_${id}`);
  await app.until(() => app.has("#detail_network"));
  await app.click("#detail_network");
  await app.until(() => app.has("#forward_first"));
  const { router } = await app.env.modules["viewmodel/Router"]();
  router().openSerial(id);
  router().show(2);
  await app.until(() => JSON.parse(preferences.place?.place || "{}").root?.length === 1);
  const killed = structuredClone(preferences);
  await app.close();
  assert.equal(preferences.place.place, "", "what ends as it should leaves no place");

  // A copy each: an app that ends empties what it was given.
  app = await start({ language: "base", preferences: structuredClone(killed) });
  await app.until(() => app.has("#serial_page"));
  const again = (await app.env.modules["viewmodel/Router"]()).router();
  assert.equal(again.tab, 2);
  assert.deepEqual(again.machines.getAllPathName(), ["machine", "network"]);
  assert.equal((await native.machines.list()).find((one) => one.id === id).state, "off", "nothing was started");
  // A link leads elsewhere, and a machine that is gone has no page.
  await app.close();
  app = await start({ language: "base", preferences: structuredClone(killed), want: { parameters: { open: "downloads" } } });
  await app.until(() => app.has("#downloads_catalogue"));
  assert.ok(!app.has("#serial_page"));
  await app.close();
  const foreign = { place: { place: killed.place.place.replaceAll(id, "gone") } };
  app = await start({ language: "base", preferences: foreign });
  await app.until(() => app.has("#tab_mine"));
  const elsewhere = (await app.env.modules["viewmodel/Router"]()).router();
  await app.until(() => elsewhere.tab === 2);
  assert.deepEqual([elsewhere.tab, elsewhere.root.getAllPathName()], [2, []]);
});

test("on a PC the windows of machines come again after a kill, each asks where the person is", async () => {
  const { id } = (await native.machines.list())[0];
  const place = JSON.stringify({ tab: 0, machines: [], mine: [], root: [], windows: [id], scroll: 0 });
  await opened({ ...PC, language: "base", preferences: { place: { place } }, startAbility: () => true });
  await app.until(() => app.calls.some(({ name, args }) => name === "context.startAbility" && args[0].parameters.machine === id));
  const { prompts } = (await app.env.modules["viewmodel/Prompts"]());
  const question = { title: "Which?", text: "", doIt: "Do it", leave: "Leave it", loses: false };
  // The machine's window is in front: the main one stays as it is, until that one is gone.
  prompts().focus(id);
  const answered = prompts().ask(question);
  prompts().tell("told there");
  await app.settle();
  assert.ok(!app.sees("Which?") && !app.has("#notice"));
  prompts().closed(id);
  await app.until(() => app.sees("Which?"));
  assert.ok(app.sees("told there"));
  await app.click("Do it");
  assert.equal(await answered, true);
});

test("a widget without a machine asks which it shall show, and gets its name and picture", async () => {
  const preferences = {};
  await opened({ language: "base", preferences, want: { parameters: { open: "widget", form: "4711" } } });
  const { id, name } = (await native.machines.list()).find((one) => one.picture) ?? (await native.machines.list())[0];
  await app.until(() => app.has(`#widget_${id}`));
  await app.click(`#widget_${id}`);
  const update = await app.until(() => app.calls.find((one) => one.name === "formProvider.updateForm"));
  const [form, { data }] = update.args;
  assert.equal(form, "4711");
  assert.deepEqual([JSON.parse(data).machine, JSON.parse(data).name], [id, name]);
  assert.equal(JSON.parse(preferences.widgets["4711"]).machine, id);
  // The widgets' own process reads what the app has kept.
  const { default: MachineFormAbility } = await app.env.modules["formability/MachineFormAbility"]();
  const ability = new MachineFormAbility();
  const given = JSON.parse(ability.onAddForm({ parameters: { "ohos.extra.param.key.form_identity": "4711" } }).data);
  assert.deepEqual([given.machine, given.name], [id, name]);
  assert.equal(JSON.parse(ability.onAddForm({ parameters: { "ohos.extra.param.key.form_identity": "1" } }).data).machine, "");
  ability.onRemoveForm("4711");
  await app.until(() => preferences.widgets["4711"] === undefined);
});
