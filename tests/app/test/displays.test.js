// A machine with two displays on the app's pages, with the real module: which one a window shows, a window for each, and what is remembered
// of that. Nothing is drawn in Node.js; displays-browser.test.js looks at the pictures.
import assert from "node:assert/strict";
import { afterEach, before, test } from "node:test";
import { until } from "../../napi/lib/module.js";
import { state, tinyMachine } from "../../napi/lib/machines.js";
import { loadModule, mountApp } from "../lib/harness/node.js";
import { library, native, runs, seen, start, text } from "./lib/pages.js";

const PC = { device: { type: "2in1" }, width: 1280, height: 800 };
const KEY_D = 2020;
let desk, app, calls, tellScreen;

before(async () => {
  await library();
  desk = await tinyMachine("desk");
  await native.machines.change(desk, [{ field: "displays.heads", value: "2" }], []);
});
afterEach(ended);

/** The machine and the app end. The machine first, since the app would suspend what runs. */
async function ended() {
  await native.life.forceOff(desk).catch(() => {});
  await app?.close();
  app = undefined;
}

/** The module, with a note of each call of `input` and `screen`; a surface counts as drawn on as soon as it is there. */
function spied() {
  calls = [];
  const noted = (space) => Object.fromEntries(Object.entries(native[space]).map(([name, fn]) => [name, (...args) => {
    calls.push([`${space}.${name}`, ...args]);
    return fn(...args);
  }]));
  const listeners = new Set();
  tellScreen = (status) => listeners.forEach((listener) => listener(status));
  const module = { ...native, input: noted("input"), screen: noted("screen"), host: { ...native.host, init: () => library() } };
  module.on = (kind, listener) => {
    if (kind !== "screen") return native.on(kind, listener);
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  module.screen.draw = async (screen, ...rest) => {
    calls.push(["screen.draw", screen, ...rest]);
    setTimeout(() => tellScreen({ screen, state: "showing", width: 640, height: 400 }), 5);
  };
  return module;
}
const called = (name) => calls.filter(([one]) => one === name).map(([, ...args]) => args);
const attached = () => called("screen.attach").map(([, , , display]) => display);

/** The app with the machine's screen open. */
async function opened(options = {}) {
  await runs(desk);
  app = await start({ native: spied(), ...options });
  await app.until(() => app.has(`#machine_${desk}`) || app.has(`#picture_${desk}`));
  const { router } = await app.env.modules["viewmodel/Router"]();
  router().openScreen(desk);
  await drawn(1);
}
const drawn = async (times) => {
  await app.until(() => called("screen.draw").length >= times && !app.all("[id^='cover_']").length);
  await app.settle();
};
/** Opens the sheet, where the displays are. */
async function more() {
  await app.click("#dock_more");
  await app.until(() => app.has("#display_2"));
}

test("another display is chosen in the sheet: what is held goes up on the one before, and the guest lights it", async () => {
  await opened();
  assert.deepEqual(attached(), [1]);
  await app.until(() => app.find("#screen_facts").textContent.includes("Display 1"));
  await more();
  assert.ok(app.texts(app.find("#display_2")).some((one) => text("base", "scr_display_off").test(one)), "it is dark");
  assert.match(app.find("#display_1").getAttribute("aria-label"), /Display 1, .*shown here$/);
  assert.ok(!app.has("#display_open_2"), "a phone has one window");
  await app.back();

  app.find("#guest_view").focus();
  app.fire("#guest_view", "keydown", { key: "d", code: "KeyD" });
  const [first] = called("screen.draw")[0];
  await more();
  await app.click("#display_2");
  await drawn(2);
  const order = calls.filter(([name, one]) => one === first && /releaseAll|leave|detach|key$/.test(name))
    .map(([name, , code, down]) => (name === "input.key" ? `${code} ${down}` : name));
  assert.deepEqual(order.filter((one, n) => order.indexOf(one) === n),
    [`${KEY_D} true`, `${KEY_D} false`, "input.releaseAll", "screen.leave", "screen.detach"]);
  assert.deepEqual(attached(), [1, 2]);
  const [, width, height] = called("screen.attach")[1];
  assert.ok(width > 100 && height > 100, `${width} × ${height}`);
  const [second] = called("screen.draw")[1];
  assert.notEqual(second, first);
  await app.until(() => app.find("#screen_facts").textContent.includes("Display 2"));
  assert.equal(app.find("#guest_view").getAttribute("aria-label"), "Screen of desk, display 2");
  const { machines } = await app.env.modules["viewmodel/Machines"]();
  await app.until(() => machines().find(desk).status?.displays[1].width === width);
  app.fire("#guest_view", "keydown", { key: "d", code: "KeyD" });
  app.fire("#guest_view", "keyup", { key: "d", code: "KeyD" });
  assert.deepEqual(called("input.key").slice(-2), [[second, KEY_D, true], [second, KEY_D, false]]);

  // The window keeps it, also when the page is left.
  await app.click("#screen_back");
  await app.until(() => !app.has("#screen_page"));
  const { router } = await app.env.modules["viewmodel/Router"]();
  router().openScreen(desk);
  await drawn(3);
  assert.deepEqual(attached(), [1, 2, 2]);
  await more();
  await app.click("#display_1");
  await drawn(4);
  assert.deepEqual(attached(), [1, 2, 2, 1]);
});

test("in Chinese, and a screenshot is of the display that is shown", async () => {
  await opened({ language: "zh_CN" });
  await more();
  await seen(app, "zh_CN", "scr_display_off", "#more_displays");
  await app.click("#display_2");
  await drawn(2);
  await app.until(() => app.find("#screen_facts").textContent.includes("显示器 2"));
  const { machines } = await app.env.modules["viewmodel/Machines"]();
  await app.until(() => machines().find(desk).status?.displays[1].width > 0);
  await more();
  await app.click("#more_screenshot");
  await app.until(() => called("screen.screenshot").some(([, display]) => display === 2));
});

test("a machine with one display has no such choice, and a display that is gone is the first", async () => {
  const preferences = { place: { place: JSON.stringify({
    tab: 0, machines: [], mine: [], root: [{ name: "screen", machine: desk }], windows: [], displays: [{ window: desk, display: 2 }, { window: "gone", display: 2 }], scroll: 0,
  }) } };
  await runs(desk);
  app = await start({ native: spied(), preferences });
  await drawn(1);
  assert.deepEqual(attached(), [2], "what was kept of it");
  await ended();
  await native.machines.change(desk, [{ field: "displays.heads", value: "1" }], []);
  try {
    await runs(desk);
    preferences.place.place = JSON.stringify({ ...JSON.parse(preferences.place.place || "{}"),
      tab: 0, machines: [], mine: [], root: [{ name: "screen", machine: desk }], windows: [], displays: [{ window: desk, display: 2 }], scroll: 0 });
    app = await start({ native: spied(), preferences });
    await drawn(1);
    assert.equal(attached().at(-1), 1);
    await app.click("#dock_more");
    await app.until(() => app.has("#more_sheet"));
    assert.ok(!app.has("#more_displays"));
    assert.ok(!app.find("#screen_facts").textContent.includes("Display"));
  } finally {
    await ended();
    await native.machines.change(desk, [{ field: "displays.heads", value: "2" }], []);
  }
});

/** A machine's own window on a PC. */
async function ownWindow(parameters) {
  await runs(desk);
  app = await mountApp({
    native: spied(), language: "base", ...PC, ability: "vmability/VmAbility", want: { abilityName: "VmAbility", parameters }, startAbility: () => true,
  });
  const { machines } = await app.env.modules["viewmodel/Machines"]();
  const { layout } = await app.env.modules["viewmodel/Layout"]();
  layout().pc = true;
  machines().listen();
  await drawn(1);
}

test("on a PC each display has a window of its own, which is called so and opens the others", async () => {
  const { module: { default: Stage } } = await loadModule("entryability/SampanStage", { native });
  const key = (parameters, abilityName = "VmAbility") => new Stage().onAcceptWant({ abilityName, parameters });
  assert.deepEqual([key({ machine: "m" }), key({ machine: "m", display: 1 }), key({ machine: "m", display: 2 }), key({ machine: "m", display: "2" })],
    ["m", "m", "m.2", "m"]);
  assert.deepEqual([key({}), key({ machine: "m", display: 2 }, "EntryAbility")], ["", ""]);

  await ownWindow({ machine: desk, display: 2 });
  assert.equal(attached().at(-1), 2);
  await app.until(() => app.find("#bar_facts").textContent.includes("Display 2"));
  await app.until(() => app.calls.some(({ name, args }) => name === "context.setMissionLabel" && args[0] === "desk – Display 2"));
  await more();
  assert.ok(!app.has("#display_open_2"), "it is here");
  await app.click("#display_open_1");
  const opens = await app.until(() => app.calls.find(({ name }) => name === "context.startAbility"));
  assert.deepEqual([opens.args[0].abilityName, opens.args[0].parameters], ["VmAbility", { machine: desk, display: 1 }]);
  assert.equal(attached().at(-1), 2, "this one stays");

  // It turns to another one, and back when it is asked for by its own.
  await more();
  await app.click("#display_1");
  await app.until(() => attached().at(-1) === 1);
  await app.until(() => app.calls.some(({ name, args }) => name === "context.setMissionLabel" && args[0] === "desk"));
  app.system.newWant({ abilityName: "VmAbility", parameters: { machine: desk, display: 2 } });
  await app.until(() => attached().at(-1) === 2);
});

test("of several windows of a machine only the last asks what becomes of it", async () => {
  await ownWindow({ machine: desk, display: 2 });
  const { place } = await app.env.modules["viewmodel/Place"]();
  place().window(desk, true);
  assert.equal(await app.system.prepareToTerminate(), false, "the machine is seen in another one");
  place().window(desk, false);
  assert.equal(await app.system.prepareToTerminate(), true);
  await app.until(() => app.overlays.some(({ texts }) => texts.some((one) => text("base", "scr_close_title").test(one))));
  await app.click("Suspend");
  await app.until(async () => await state(desk) === "suspended");
  await app.until(() => app.calls.some(({ name }) => name === "context.terminateSelf"));
  await native.life.start(desk, { discardState: true }).run();
});

/** The view model alone, on a module that does as it is told. */
async function model(over = {}) {
  const log = [];
  const fake = {
    on: () => () => {},
    screen: {
      attach: async (...args) => { log.push(["attach", ...args]); return "7"; },
      draw: async (...args) => void log.push(["draw", ...args]), detach: (id) => log.push(["detach", id]),
      resize: () => {}, leave: (...args) => log.push(["leave", ...args]), screenshot: async () => Promise.reject(new Error("none")), ...over,
    },
    machines: { thumbnail: async () => Promise.reject(new Error("none")) },
  };
  const loaded = await loadModule("viewmodel/ScreenModel", { native: fake });
  return { screen: new loaded.module.ScreenModel("m"), log, settle: () => loaded.settle() };
}

test("a further display is attached with the size that it is shown in", async () => {
  const { screen, log, settle } = await model();
  screen.show(2);
  screen.open("running");
  await settle();
  assert.deepEqual(log, [], "which is not known yet");
  screen.surfaceCreated("11", false);
  screen.surfaceChanged("11", 800, 600);
  await settle();
  assert.deepEqual(log[0], ["attach", "m", 800, 600, 2]);
});

test("a choice that comes while another display is being attached counts", async () => {
  const gates = [];
  const log = [];
  let next = 6;
  const { screen, settle } = await model({
    attach: async (machine, width, height, display) => {
      log.push(display);
      const id = String(++next);
      await new Promise((resolve) => gates.push(resolve));
      return id;
    },
    detach: (id) => log.push(`detach ${id}`),
  });
  screen.surfaceCreated("11", false);
  screen.surfaceChanged("11", 800, 600);
  screen.open("running");
  await settle();
  screen.show(2);
  screen.show(3);
  gates[0]();
  await until("the other one is asked for", () => gates.length === 2, 5000);
  gates[1]();
  await until("it is there", () => screen.screen === "8", 5000);
  assert.deepEqual(log, [1, "detach 7", 3]);
});

test("a machine that lacks the display is asked again until it tells which it has", async () => {
  let asked = 0;
  const { screen } = await model({ attach: async (machine, width, height, display) => {
    asked += 1;
    if (display > 1) throw Object.assign(new Error("none"), { code: "no_display", params: { display, count: 1 } });
    return "7";
  } });
  screen.show(2);
  screen.surfaceCreated("11", false);
  screen.surfaceChanged("11", 800, 600);
  screen.open("running");
  await until("it is asked again", () => asked > 1, 5000);
  assert.equal(screen.failure, undefined);
  screen.show(1);
  await until("the first is shown", () => screen.screen === "7", 5000);
});
