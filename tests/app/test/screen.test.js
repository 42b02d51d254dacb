// A machine's screen: the app with the real module and real machines. Nothing is drawn in Node.js; where a test is about what is drawn,
// it tells the page so in the module's place.
import assert from "node:assert/strict";
import { after, afterEach, before, mock, test } from "node:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../napi/lib/module.js";
import { lent, painted, paintingMachine, smallest, state } from "../../napi/lib/machines.js";
import { loadModule, mountApp } from "../lib/harness/node.js";
import { home, library, native, runs, seen, start, text } from "./lib/pages.js";

const [CTRL, TAB] = [2072, 2049];
let painter, app, calls, tellScreen;

before(async () => {
  await library();
  painter = await paintingMachine(home, "painter");
});
afterEach(async () => {
  // Before the app ends, which suspends what runs.
  for (const { id } of await native.machines.list()) await native.life.forceOff(id).catch(() => {});
  await app?.close();
  app = undefined;
});
after(() => mock.timers.reset());

/** The module, with a note of each call of `input` and `screen`. With `draws`, a surface counts as drawn on as soon as it is there. */
function spied(draws) {
  calls = [];
  const noted = (space) => Object.fromEntries(Object.entries(native[space]).map(([name, fn]) => [name, (...args) => {
    calls.push([`${space}.${name}`, ...args]);
    return fn(...args);
  }]));
  const listeners = new Set();
  tellScreen = (status) => listeners.forEach((listener) => listener(status));
  const module = { ...native, input: noted("input"), screen: noted("screen"), host: { ...native.host, init: () => library() } };
  module.on = (kind, listener) => {
    if (kind !== "screen" || !draws) return native.on(kind, listener);
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  if (draws) {
    module.screen.draw = async (screen, ...rest) => {
      calls.push(["screen.draw", screen, ...rest]);
      setTimeout(() => tellScreen({ screen, state: "showing", width: 640, height: 400 }), 5);
    };
  }
  return module;
}
const called = (name) => calls.filter(([one]) => one === name).map(([, ...args]) => args);

/** The app with the screen of a machine open. */
async function opened(id, { draws = false, run = true, life = (real) => real, ...options } = {}) {
  if (run) await runs(id);
  const module = spied(draws);
  module.life = life(native.life);
  app = await start({ native: module, ...options });
  await app.until(() => app.has(`#machine_${id}`) || app.has(`#picture_${id}`));
  const { router } = await app.env.modules["viewmodel/Router"]();
  router().openScreen(id);
  await app.settle();
  if (run) await app.until(() => called("screen.attach").length > 0 && (!draws || called("screen.draw").length > 0));
  if (draws) await app.until(() => !app.all("[id^='cover_']").length);
  await app.settle();
  return app;
}
const finger = (what, type, init) => app.fire(what, type, { pointerType: "touch", ...init });
const tap = async (what) => {
  finger(what, "pointerdown");
  finger(what, "pointerup");
  await app.settle();
};

test("a key on the page paints the guest; leaving lets go of it and stops nothing", async () => {
  await opened(painter);
  await painted(painter, "green");
  assert.equal(app.find("#screen_name").textContent, "painter");
  await app.until(() => app.find("#screen_facts").textContent.includes(text("base", "state_running").source.slice(1, -1)));
  await app.key("d", { what: "#guest_view" });
  await painted(painter, "red");
  assert.deepEqual(called("input.key").map(([, code, down]) => [code, down]), [[2020, true], [2020, false]]);
  const [screen] = called("input.key")[0];
  assert.equal(app.env.keepScreenOn, true, "the device's screen stays on");

  await app.click("#screen_back");
  await app.until(() => !app.has("#screen_page"));
  assert.deepEqual(called("screen.detach"), [[screen]]);
  assert.equal(await state(painter), "running");
  assert.ok(app.texts().includes("Still running"));
  await app.until(() => app.env.keepScreenOn === false);
});

test("a machine that is off is started from here, and shown", async () => {
  await opened(painter, { run: false });
  await app.until(() => app.has("#cover_off"));
  assert.equal(called("screen.attach").length, 0, "there is nothing to attach yet");
  await app.click("#cover_first");
  await app.until(() => called("screen.attach").length > 0);
  await painted(painter, "green");
  await app.until(() => app.has("#last_picture"));
});

test("what cannot be drawn is told, with a picture each second", async () => {
  await opened(painter);
  await app.until(() => app.has("#cover_undrawn"));
  await seen(app, "base", "scr_undrawn");
  await app.until(() => app.has("#last_picture"));
  const before = app.find("#last_picture").getAttribute("style");
  await painted(painter, "green");
  await app.key("d", { what: "#guest_view" });
  await painted(painter, "red");
  await app.until(() => app.find("#last_picture").getAttribute("style") !== before);
});

test("a machine that powers off, is paused, saved or resumed shows it", async () => {
  await opened(painter, { draws: true });
  await native.life.pause(painter);
  await app.until(() => app.has("#cover_paused"));
  assert.ok(app.has("#last_picture") || app.has("#guest_surface"));
  await app.click("#cover_resume");
  await app.until(async () => await state(painter) === "running");
  await app.until(() => !app.has("#cover_paused"));

  await app.click("#screen_power");
  assert.deepEqual(["Pause", "Shut down", "Restart", "Force off"].filter((one) => !app.sees(one)), []);
  await app.click("#power_suspend");
  await app.until(() => app.has("#cover_suspended"));
  assert.equal(await state(painter), "suspended");
  assert.ok(called("screen.detach").length > 0);
  await app.click("#cover_first");
  await app.until(async () => await state(painter) === "running");
  const runs = () => new Set(called("screen.draw").map(([screen]) => screen)).size;
  await app.until(() => runs() >= 2);
  assert.equal(runs(), 2, "one screen for each run");

  await native.life.forceOff(painter);
  await app.until(() => app.has("#cover_off"));
  await seen(app, "base", "scr_off");
});

test("a tap on what is offered counts, though the work that led to it has not ended yet", async () => {
  let end;
  const held = new Promise((resolve) => (end = resolve));
  await opened(painter, { draws: true, life: (life) => ({ ...life, suspend: (id) => {
    const job = life.suspend(id);
    return { id: job.id, cancel: () => job.cancel(), run: async (...rest) => {
      await job.run(...rest);
      await held;
    } };
  } }) });
  await app.click("#screen_power");
  await app.click("#power_suspend");
  await app.until(() => app.has("#cover_suspended"));
  await app.click("#cover_first");
  end();
  await app.until(async () => await state(painter) === "running");
});

test("a guest that is asked to shut down can be forced off meanwhile", async () => {
  await opened(painter, { draws: true });
  await app.click("#screen_power");
  await app.click("#power_shut_down");
  // This guest has no idea of a power button.
  await app.until(async () => (await native.jobs.list()).some(({ kind }) => kind === "stop"));
  await app.click("#screen_power");
  await app.click("#power_force");
  await app.until(() => app.has(".dialog-button:last-child"));
  await app.click(".dialog-button:last-child");
  await app.until(async () => await state(painter) === "off");
  await app.until(() => app.has("#cover_off"));
});

test("states that only tell are told, with what can be done", async () => {
  await opened(painter, { run: false, language: "zh_CN" });
  const { machines } = await app.env.modules["viewmodel/Machines"]();
  const machine = machines().find(painter);
  const turn = async (to, more = {}) => {
    machine.summary = { ...machine.summary, state: to };
    Object.assign(machine, more);
    await app.settle();
  };
  await turn("starting", { status: { progress: { phase: "memory", done: 1, total: 2 } } });
  await app.until(() => app.has("#cover_starting"));
  assert.ok(app.texts().some((one) => one.includes("50%")), app.texts().join());
  assert.ok(app.has("#cover_cancel"));
  await turn("silent");
  assert.match(app.find("#cover_title").textContent, text("zh_CN", "scr_silent"));
  assert.match(app.find("#cover_first").textContent, text("zh_CN", "force_off"));
  await turn("crashed", { end: { kind: "died", machine: painter, time: 1, words: "", report: true } });
  assert.match(app.find("#cover_title").textContent, text("zh_CN", "scr_crashed"));
  await app.click("#cover_second");
  assert.ok(!app.has("#screen_page"), "the report is a page of the machine");
});

test("fingers on the trackpad move and click the guest's pointer", async () => {
  await opened(painter, { draws: true });
  finger("#pad", "pointerdown", { clientX: 100, clientY: 400 });
  finger("#pad", "pointermove", { clientX: 130, clientY: 400 });
  finger("#pad", "pointermove", { clientX: 140, clientY: 400 });
  finger("#pad", "pointerup", { clientX: 140, clientY: 400 });
  await app.settle();
  const moved = called("input.moveBy").length + called("input.moveTo").length;
  assert.ok(moved >= 2, "it moves");
  finger("#pad", "pointerdown", { clientX: 100, clientY: 400 });
  finger("#pad", "pointerup", { clientX: 100, clientY: 400 });
  await app.until(() => called("input.button").length === 2);
  assert.deepEqual(called("input.button").map(([, button, down]) => [button, down]), [["left", true], ["left", false]]);
  finger("#pad_right", "pointerdown");
  assert.deepEqual(called("input.button").at(-1).slice(1), ["right", true]);
  finger("#pad_right", "pointerup");
  assert.deepEqual(called("input.button").at(-1).slice(1), ["right", false]);
});

test("a modifier waits for the next key, twice locks it, and leaving the page lets go", async () => {
  await opened(painter, { draws: true });
  await tap("#key_ctrl");
  assert.equal(called("input.key").length, 0);
  assert.match(app.find("#key_ctrl").getAttribute("aria-label"), /next key/);
  await tap("#key_tab");
  assert.deepEqual(called("input.key").map(([, code, down]) => [code, down]), [[CTRL, true], [TAB, true], [TAB, false], [CTRL, false]]);
  assert.ok(!app.has("#key_dot_ctrl"));
  await tap("#key_ctrl");
  await tap("#key_ctrl");
  assert.ok(app.has("#key_dot_ctrl"));
  calls.length = 0;
  await tap("#key_tab");
  assert.deepEqual(called("input.key").map(([, code, down]) => [code, down]), [[CTRL, true], [TAB, true], [TAB, false]]);
  await app.background();
  const { router } = await app.env.modules["viewmodel/Router"]();
  router().openSerial(painter);
  await app.settle();
  assert.deepEqual(called("input.key").at(-1).slice(1), [CTRL, false]);
  assert.ok(called("input.releaseAll").length > 0);
});

test("a screen reader's tap is a whole stroke, and a finger's is not two", async () => {
  await opened(painter, { draws: true });
  app.fire("#key_tab", "click");
  assert.deepEqual(called("input.key").map(([, code, down]) => [code, down]), [[TAB, true], [TAB, false]]);
  calls.length = 0;
  await app.click("#key_esc");
  assert.deepEqual(called("input.key").map(([, code, down]) => [code, down]), [[2070, true], [2070, false]]);
  app.fire("#pad_left", "click");
  assert.deepEqual(called("input.button").map(([, button, down]) => [button, down]), [["left", true], ["left", false]]);
});

test("Fn shows the other keys, and combinations are a menu", async () => {
  await opened(painter, { draws: true });
  await tap("#key_fn");
  assert.ok(app.has("#key_f12") && app.has("#key_pause") && !app.has("#key_pgdn"));
  await tap("#key_f5");
  assert.deepEqual(called("input.key").map(([, code, down]) => [code, down]), [[2094, true], [2094, false]]);
  await tap("#key_fn");
  assert.ok(app.has("#key_pgdn"));
  await app.click("#key_chords");
  await app.click("[id='chord_Ctrl+Alt+Del']");
  assert.deepEqual(called("input.key").slice(2).map(([, code, down]) => [code, down]),
    [[CTRL, true], [2045, true], [2071, true], [2071, false], [2045, false], [CTRL, false]]);
});

test("a combination of one's own is checked, kept, and in the menu", async () => {
  const preferences = {};
  await opened(painter, { draws: true, preferences });
  await app.click("#key_chords");
  await app.click("#chord_own");
  await app.until(() => app.has("#chord_text"));
  await app.type("#chord_text", "Ctrl+Nothing");
  assert.ok(app.has("#chord_bad"));
  await app.type("#chord_text", "ctrl+shift+t");
  assert.ok(!app.has("#chord_bad"));
  await app.click("#chord_add");
  assert.equal(preferences.screen.chords, "Ctrl+Shift+T");
  await app.back();
  await app.click("#key_chords");
  assert.ok(app.has("[id='chord_Ctrl+Shift+T']"));
});

test("Tab is the guest's, volume is the host's", async () => {
  await opened(painter, { draws: true });
  const fire = (code) => app.fire("#guest_view", "keydown", { key: code, code });
  assert.ok(fire("Tab").defaultPrevented);
  assert.ok(!fire("AudioVolumeUp").defaultPrevented);
  assert.deepEqual(called("input.key").map(([, code, down]) => [code, down]), [[TAB, true]], "once, though it is told twice");
});

test("going back takes the keyboard away, then keys that were opened, then leaves", async () => {
  await opened(painter, { draws: true });
  await app.click("#dock_keyboard");
  await app.until(() => app.env.softKeyboard === true);
  app.system.keyboard(300);
  await app.settle();
  assert.ok(!app.has("#pad"), "the keyboard takes the trackpad's place");
  assert.ok(app.has("#key_rows"), "the keys stay above it");
  await painted(painter, "green");
  app.system.inputMethod("insertText", "d");
  await painted(painter, "red");
  app.system.inputMethod("insertText", "你");
  await seen(app, "base", "type_no");
  await app.back();
  await app.until(() => app.env.softKeyboard === false && app.has("#pad"));
  const { settings } = await app.env.modules["viewmodel/Settings"]();
  assert.equal(settings().showKeys, true);
  await tap("#key_fn");
  await app.back();
  assert.ok(app.has("#key_pgdn") && app.has("#screen_page"), "Fn first");
  await app.back();
  assert.ok(!app.has("#screen_page"));
});

test("three fingers fold the keys, and going back folds them again", async () => {
  await opened(painter, { draws: true });
  const three = async () => {
    for (let id = 1; id <= 3; id++) finger("#pad", "pointerdown", { pointerId: id, clientX: 60 * id, clientY: 400 });
    for (let id = 1; id <= 3; id++) finger("#pad", "pointerup", { pointerId: id, clientX: 60 * id, clientY: 400 });
    await app.settle();
  };
  await three();
  assert.ok(!app.has("#key_rows"));
  await three();
  assert.ok(app.has("#key_rows"));
  await app.back();
  assert.ok(!app.has("#key_rows") && app.has("#screen_page"));
});

test("a text is typed as keys, and what has no key is said before anything is sent", async () => {
  await opened(painter, { draws: true });
  await painted(painter, "green");
  await app.click("#dock_more");
  await app.click("#more_type");
  await app.until(() => app.has("#type_text"));
  await app.type("#type_text", "你好d");
  await seen(app, "base", "type_no");
  await assert.rejects(app.click("#type_send"), /switched off/);
  await app.type("#type_text", "d");
  assert.ok(!app.has("#type_no"));
  await app.click("#type_send");
  await painted(painter, "red");
  await app.until(() => !app.has("#type_sheet"));
});

test("the clipboard is said not to be connected, and its text can be typed", async () => {
  await opened(painter, { draws: true, language: "zh_CN" });
  await painted(painter, "green");
  await app.click("#dock_clipboard");
  await seen(app, "zh_CN", "scr_clip_title");
  await app.click("粘贴");
  await app.until(() => app.has("#clip_note"));
  assert.match(app.find("#clip_note").textContent, text("zh_CN", "scr_clip_empty"));
  const { copyText } = await app.env.modules["viewmodel/Clipboard"]();
  copyText("你好");
  await app.click("粘贴");
  await app.until(() => text("zh_CN", "type_no").test(app.find("#clip_note").textContent));
  copyText("d");
  await app.click("粘贴");
  await painted(painter, "red");
});

test("a snapshot is taken by its time, a screenshot is a file", async () => {
  const file = join(home, "shot.png");
  await opened(painter, { draws: true, picks: [[`file://docs${file}`]] });
  await painted(painter, "green");
  await app.click("#dock_snapshot");
  await seen(app, "base", "scr_snapped");
  assert.equal((await native.snapshots.list(painter)).nodes.length, 1);
  await app.click("#dock_more");
  await app.click("#more_screenshot");
  await seen(app, "base", "scr_shot_saved");
  const shot = await native.screen.screenshot(painter);
  assert.deepEqual(readFileSync(file), Buffer.from(shot.png), "to the last byte");
});

test("a CD is changed while the machine runs", async () => {
  const iso = Buffer.alloc(64 << 10);
  iso.write("\x01CD001\x01", 32768, "latin1");
  writeFileSync(join(home, "one.iso"), iso);
  await lent(join(home, "one.iso"), "one.iso", (file) => native.media.add(file, ["not_a_medium"]).run());
  const id = (await native.machines.create(smallest("with CD", { medium: "one.iso" }), []).run()).id;
  const cd = (await native.disks.list(id)).drives.find(({ kind }) => kind === "cdrom");
  assert.equal(cd.medium, "one.iso");
  await opened(id, { draws: true });
  await app.click("#dock_more");
  await app.until(() => app.has(`#drive_${cd.id}`));
  await app.click(`#drive_${cd.id}`);
  await app.click(`#eject_${cd.id}`);
  await app.until(async () => (await native.disks.list(id)).drives.find((one) => one.id === cd.id).medium === undefined);
  await app.until(() => app.texts(app.find(`#drive_${cd.id}`)).includes("empty"));
  await app.click(`#drive_${cd.id}`);
  await app.click("[id='medium_one.iso']");
  await app.until(async () => (await native.disks.list(id)).drives.find((one) => one.id === cd.id).medium === "one.iso");
});

test("on a PC the title has the actions, and keys come on demand", async () => {
  await opened(painter, { draws: true, device: { type: "2in1" }, width: 1280, height: 800 });
  assert.ok(app.has("#screen_bar") && !app.has("#pad") && !app.has("#key_rows"));
  await app.until(() => app.find("#bar_facts").textContent.includes("640×400"));
  await app.click("#screen_keys");
  assert.equal(app.all("#key_rows [id^='key_']").length, 16);
  await app.click("#screen_full");
  await app.until(() => app.calls.some(({ name }) => name === "window.maximize"));
  assert.ok(!app.has("#screen_bar"));
  app.fire("#screen_edge", "pointerenter", { pointerType: "mouse" });
  await app.until(() => app.has("#screen_bar"));
  await app.back();
  assert.ok(app.has("#screen_page"), "back leaves full screen first");
});

test("Ctrl+Alt+Enter takes the whole display, and no key stays down in the guest", async () => {
  await opened(painter, { draws: true, device: { type: "2in1" }, width: 1280, height: 800 });
  for (const code of ["ControlLeft", "AltLeft", "Enter"]) app.fire("#guest_view", "keydown", { key: code, code });
  await app.until(() => app.calls.some(({ name }) => name === "window.maximize"));
  const down = new Set();
  for (const [, code, on] of called("input.key")) on ? down.add(code) : down.delete(code);
  assert.deepEqual([...down], []);
  assert.ok(!called("input.key").some(([, code]) => code === 2054));
});

test("lying on its side the guest has the window, with one row of keys", async () => {
  await opened(painter, { draws: true, width: 844, height: 390 });
  assert.ok(!app.has("#pad") && app.has("#screen_bar"));
  assert.equal(app.all("#key_rows [id^='key_']").length, 16);
  const { settings } = await app.env.modules["viewmodel/Settings"]();
  settings().setShowKeys(false);
  await app.settle();
  assert.ok(!app.has("#screen_bar") && !app.has("#key_rows"));
});

test("the mouse is where it is on the surface, in its pixels", async () => {
  await opened(painter, { draws: true, device: { type: "2in1" }, width: 1280, height: 800 });
  const { machines } = await app.env.modules["viewmodel/Machines"]();
  const machine = await app.until(() => machines().find(painter).status && machines().find(painter));
  await seen(app, "base", "scr_relative");
  const point = (type, init) => app.fire("#guest_view", type, { pointerType: "mouse", clientX: 100, clientY: 60, buttons: 0, ...init });
  point("pointermove");
  assert.equal(called("input.moveTo").length, 0, "this guest's mouse knows no places");
  // No driver in this guest would take a tablet; a guest with one is told the place.
  machine.status = { ...machine.status, absolute: true };
  await app.settle();
  point("pointermove");
  assert.deepEqual(called("input.moveTo").at(-1).slice(1), [200, 120], "two pixels a vp");
  point("pointerdown", { button: 2, buttons: 2 });
  point("pointerup", { button: 2 });
  assert.deepEqual(called("input.button").map(([, button, down]) => [button, down]), [["right", true], ["right", false]]);
});

test("a mouse that has come to an edge goes on moving a guest's relative mouse", async () => {
  await opened(painter, { draws: true, device: { type: "2in1", api: 15 }, width: 1280, height: 800 });
  const { machines } = await app.env.modules["viewmodel/Machines"]();
  await app.until(() => machines().find(painter).status?.absolute === false);
  const at = (movementX, type = "pointermove", more = {}) =>
    app.fire("#guest_view", type, { pointerType: "mouse", clientX: 1279, clientY: 60, buttons: 0, movementX, movementY: 0, ...more });
  const moves = () => called("input.moveBy").map(([, dx, dy]) => [Math.sign(dx), dy]);
  at(0);
  const before = moves().length;
  at(9);
  at(4);
  assert.deepEqual(moves().slice(before), [[1, 0], [1, 0]], "the pointer itself stands still");
  // A press has moved nothing, whatever its event says.
  at(9, "pointerdown", { button: 0, buttons: 1 });
  at(9, "pointerup", { button: 0 });
  assert.ok(moves().slice(before + 2).every(([dx, dy]) => dx === 0 && dy === 0));
});

test("a click into a guest with a relative mouse holds the pointer there, Ctrl+Alt and another window free it", async () => {
  const locks = [];
  const module = spied(true);
  module.input = { ...module.input, lockPointer: async (...args) => void locks.push(args) };
  await runs(painter);
  app = await start({ native: module, device: { type: "2in1", api: 22 }, width: 1280, height: 800 });
  await app.until(() => app.has(`#machine_${painter}`) || app.has(`#picture_${painter}`));
  const { router } = await app.env.modules["viewmodel/Router"]();
  router().openScreen(painter);
  await app.until(() => called("screen.draw").length > 0 && !app.all("[id^='cover_']").length);
  const { machines } = await app.env.modules["viewmodel/Machines"]();
  const machine = await app.until(() => machines().find(painter).status?.absolute === false && machines().find(painter));
  await seen(app, "base", "scr_relative_click");
  const shown = () => app.calls.filter(({ name }) => name === "pointer.setPointerVisibleSync").map(({ args }) => args[0]);
  const click = async () => {
    for (const [type, buttons] of [["pointerdown", 1], ["pointerup", 0]]) app.fire("#guest_view", type, { pointerType: "mouse", clientX: 90, clientY: 90, button: 0, buttons });
    await app.settle();
  };
  app.find("#guest_view").focus();
  await click();
  await app.until(() => locks.length === 1);
  assert.equal(locks[0][1], true);
  await seen(app, "base", "scr_pointer_held");
  await click();
  assert.deepEqual([locks.length, shown()], [1, [false]], "it is held once");
  for (const [type, key, code] of [["keydown", "Control", "ControlLeft"], ["keydown", "Alt", "AltLeft"], ["keyup", "Alt", "AltLeft"], ["keyup", "Control", "ControlLeft"]])
    app.fire("#guest_view", type, { key, code, ctrlKey: true, altKey: key === "Alt" });
  await app.until(() => locks.length === 2);
  assert.deepEqual([locks[1], shown()], [[locks[0][0], false], [false, true]]);
  // A guest that has got a tablet's driver needs it no more.
  app.find("#guest_view").focus();
  await click();
  await app.until(() => locks.length === 3);
  machine.status = { ...machine.status, absolute: true };
  await app.until(() => locks.length === 4);
  await click();
  assert.equal(locks.length, 4);
});

test("a pen that hovers takes the guest's pointer along; its tip presses where it is", async () => {
  await opened(painter, { draws: true, device: { type: "tablet", api: 15 }, width: 1024, height: 720 });
  const { machines } = await app.env.modules["viewmodel/Machines"]();
  const machine = await app.until(() => machines().find(painter).status && machines().find(painter));
  machine.status = { ...machine.status, absolute: true };
  await app.settle();
  const pen = (type, init) => app.fire("#guest_view", type, { pointerType: "pen", clientX: 100, clientY: 160, buttons: 0, pressure: 0, ...init });
  pen("pointermove");
  const [hovered] = called("input.moveTo").slice(-1);
  assert.ok(hovered, "it hovers");
  assert.equal(called("input.button").length, 0, "and presses nothing");
  const before = called("input.moveTo").length + called("input.moveBy").length;
  pen("pointerdown", { buttons: 1, pressure: 0.5 });
  pen("pointermove", { buttons: 1, pressure: 0.5, clientX: 140 });
  pen("pointerup", {});
  await app.until(() => called("input.button").length === 2);
  assert.deepEqual(called("input.button").map(([, button, down]) => [button, down]), [["left", true], ["left", false]]);
  const moves = called("input.moveTo").length + called("input.moveBy").length;
  assert.ok(moves > before, "and the tip draws");
});

test("a long press is felt when it becomes the right button, once, and not where the device has no such effect", async () => {
  await opened(painter, { draws: true });
  const felt = () => app.calls.filter(({ name }) => name === "vibrator.startVibration");
  await app.longPress("#pad");
  await app.until(() => called("input.button").some(([, button, down]) => button === "right" && !down));
  assert.equal(felt().length, 1);
  const [effect, attribute] = felt()[0].args;
  assert.deepEqual([effect.type, attribute.usage], ["preset", "physicalFeedback"]);
  finger("#pad", "pointerdown", { clientX: 100, clientY: 400 });
  finger("#pad", "pointerup", { clientX: 100, clientY: 400 });
  await app.until(() => called("input.button").some(([, button]) => button === "left"));
  assert.equal(felt().length, 1, "a tap is not felt");
});

/** The view model alone, on a module that does as it is told. */
async function model(over = {}) {
  const log = [];
  let listener = () => {};
  const fake = {
    on: (kind, heard) => {
      listener = heard;
      return () => log.push("off");
    },
    screen: {
      attach: async () => "7", draw: async (...args) => void log.push(["draw", ...args]), detach: (id) => log.push(["detach", id]),
      resize: (...args) => log.push(["resize", ...args]), leave: (...args) => log.push(["leave", ...args]), ...over,
    },
    machines: { thumbnail: async () => Promise.reject(new Error("none")) },
  };
  const loaded = await loadModule("viewmodel/ScreenModel", { native: fake });
  return { screen: new loaded.module.ScreenModel("m"), log, tell: (status) => listener({ screen: "7", ...status }), settle: () => loaded.settle() };
}

test("a machine that is not there yet is attached as soon as it is", async () => {
  let asked = 0;
  const { screen, log } = await model({ attach: async () => {
    asked += 1;
    if (asked < 3) throw Object.assign(new Error("not yet"), { code: "not_running" });
    return "7";
  } });
  screen.surfaceCreated("11", true);
  screen.surfaceChanged("11", 800, 600);
  screen.open("starting");
  await until("it is attached", () => screen.screen === "7", 5000);
  await until("it is drawn", () => log.some(([name]) => name === "draw"), 5000);
  assert.equal(asked, 3);
  assert.equal(screen.failure, undefined);
  assert.deepEqual(log.find(([name]) => name === "draw"), ["draw", "7", "11", 800, 600, true]);
});

test("the surface is left before it ends, and the screen is drawn on the next one", async () => {
  const { screen, log, settle } = await model();
  screen.open("running");
  screen.surfaceCreated("11", false);
  screen.surfaceChanged("11", 800, 600);
  await settle();
  screen.surfaceDestroyed("11");
  assert.deepEqual(log.filter(([name]) => name === "leave"), [["leave", "7", "11"]]);
  screen.surfaceCreated("12", false);
  screen.surfaceChanged("12", 400, 300);
  await settle();
  assert.deepEqual(log.filter(([name]) => name === "draw").at(-1), ["draw", "7", "12", 400, 300, false]);
  screen.close();
  assert.ok(log.some(([name]) => name === "detach"));
});

test("a guest that follows is asked for the surface's size, by its scale", async () => {
  const { screen, log, settle } = await model();
  screen.open("running");
  screen.surfaceCreated("11", false);
  screen.surfaceChanged("11", 1200, 800);
  await settle();
  screen.fit(true, 2);
  assert.deepEqual(log.at(-1), ["resize", "7", "11", 600, 400, true]);
  assert.equal(screen.scaled(1200), 600);
  screen.fit(false, 2);
  assert.deepEqual(log.at(-1), ["resize", "7", "11", 1200, 800, false]);
});

test("without a picture for 20 seconds it says so; a surface that ended is drawn anew", async () => {
  const { screen, log, tell, settle } = await model();
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    screen.open("running");
    screen.surfaceCreated("11", false);
    screen.surfaceChanged("11", 800, 600);
    await settle();
    tell({ state: "blank" });
    mock.timers.tick(19_999);
    assert.equal(screen.slow, false);
    mock.timers.tick(1);
    assert.equal(screen.slow, true);
    screen.waitMore();
    assert.equal(screen.slow, false);
    tell({ state: "showing", width: 320, height: 200 });
    mock.timers.tick(60_000);
    assert.deepEqual([screen.slow, screen.width, screen.height], [false, 320, 200]);

    const drawn = () => log.filter(([name]) => name === "draw").length;
    const before = drawn();
    tell({ state: "lost", why: { code: "surface_lost", params: {}, message: "" } });
    mock.timers.tick(500);
    await settle();
    assert.equal(drawn(), before + 1);
    for (let n = 0; n < 6; n++) {
      tell({ state: "lost", why: { code: "surface_lost", params: {}, message: "" } });
      mock.timers.tick(500);
      await settle();
    }
    assert.equal(screen.failure?.code, "surface_lost", "not for ever");
  } finally {
    mock.timers.reset();
  }
});

test("another run of the machine is another screen", async () => {
  let next = 6;
  const { screen, log, settle } = await model({ attach: async () => String(++next) });
  screen.open("running");
  screen.startedAt(1000);
  await settle();
  assert.equal(screen.screen, "7");
  screen.startedAt(1000);
  screen.startedAt(2000);
  await settle();
  assert.ok(log.some(([name, id]) => name === "detach" && id === "7"));
  assert.equal(screen.screen, "8");
});

test("texts and keys keep their order, and a modifier makes a text keys", async () => {
  const log = [];
  let finish;
  const fake = { input: {
    key: (screen, code, down) => log.push(`${down ? "+" : "-"}${code}`),
    text: (screen, words) => {
      log.push(words);
      return { id: "1", cancel() {}, run: () => new Promise((resolve) => { finish = resolve; }) };
    },
    releaseAll: () => log.push("all"),
  } };
  const loaded = await loadModule("viewmodel/ScreenTyping", { native: fake });
  const { ScreenKeys } = await loaded.env.modules["viewmodel/ScreenKeys"]();
  const keys = new ScreenKeys(() => "7");
  let untypable = 0;
  const typing = new loaded.module.ScreenTyping(keys, () => untypable++);
  await typing.show();
  const input = (...args) => typing.controller.$events.$tell(...args);
  input("insertText", "ls");
  input("deleteLeft", 2);
  input("insertText", "id");
  await loaded.settle();
  assert.deepEqual(log, ["ls"], "the rest waits for the text");
  finish();
  await loaded.settle();
  assert.deepEqual(log, ["ls", "+2055", "-2055", "+2055", "-2055", "id"]);
  finish();
  await loaded.settle();
  log.length = 0;
  keys.touchModifier(CTRL, true);
  keys.touchModifier(CTRL, false);
  input("insertText", "C");
  assert.deepEqual(log, ["+2072", "+2047", "+2019", "-2019", "-2047", "-2072"]);
  log.length = 0;
  // On another keyboard the core finds the key, between the modifier's press and release.
  keys.layout = "de";
  keys.touchModifier(CTRL, true);
  keys.touchModifier(CTRL, false);
  input("insertText", "z");
  await loaded.settle();
  finish();
  await loaded.settle();
  assert.deepEqual(log, ["+2072", "z", "-2072"]);
  assert.ok(keys.can("ä"), "which the core may know");
  keys.layout = "us";
  log.length = 0;
  input("insertText", "你");
  assert.deepEqual([untypable, log], [1, []]);
  input("sendFunctionKey", { enterKeyType: 2 });
  assert.deepEqual(log, ["+2054", "-2054"]);
  log.length = 0;
  input("insertText", "abc");
  input("sendFunctionKey", { enterKeyType: 2 });
  keys.releaseAll();
  finish();
  await loaded.settle();
  assert.deepEqual(log, ["abc", "all"], "what waited is not typed");
});

test("a window of its own asks what becomes of the machine, once, and does it", async () => {
  await native.life.start(painter).run();
  const preferences = {};
  app = await mountApp({
    native: spied(true), language: "base", width: 960, height: 640, device: { type: "2in1" }, ability: "vmability/VmAbility", preferences,
    want: { abilityName: "VmAbility", parameters: { machine: painter } },
  });
  const { machines } = await app.env.modules["viewmodel/Machines"]();
  const { layout } = await app.env.modules["viewmodel/Layout"]();
  layout().pc = true;
  machines().listen();
  await app.until(() => app.has("#screen_bar") && app.find("#bar_name").textContent === "painter");
  assert.ok(!app.has("#screen_back"), "a window is closed, not left");
  await app.until(() => called("screen.draw").length > 0);

  assert.equal(await app.system.prepareToTerminate(), true, "it stays until it is answered");
  await app.until(() => app.overlays.some(({ texts }) => texts.some((one) => text("base", "scr_close_title").test(one))));
  await app.click("Suspend");
  await app.until(async () => await state(painter) === "suspended");
  await app.until(() => app.calls.some(({ name }) => name === "context.terminateSelf"));
  assert.equal(preferences.screen.onClose, "suspend", "next time it is not asked");
  assert.equal(await app.system.prepareToTerminate(), false, "a machine that does not run holds nobody up");
  await native.life.start(painter, { discardState: true }).run();
});
