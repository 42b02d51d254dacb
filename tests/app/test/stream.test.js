// Showing a machine to another device: what the owner sees and answers. The device's side is told in the module's place.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { paintingMachine, state } from "../../napi/lib/machines.js";
import { home, library, native, seen, start } from "./lib/pages.js";

/** A module that is built without it has no such namespace. */
const options = { skip: native.stream === undefined && "this module shows no machine to other devices" };
let app, painter, tell;

before(async () => {
  await library();
  painter = await paintingMachine(home, "painter");
});
after(async () => {
  await app?.close();
  await native.life.forceOff(painter).catch(() => {});
});

/** The app with the page open. Events of `pairing` and `viewers` come from the module, and from `tell`. */
async function opened({ devices, ...more } = {}) {
  await app?.close();
  const listeners = [];
  // What a device would do is played: from then on the module, which knows of none, tells nothing of that kind.
  const played = new Set();
  tell = (kind, event) => {
    played.add(kind);
    listeners.filter(([one]) => one === kind).forEach(([, listener]) => listener(event));
  };
  const on = (kind, listener) => {
    listeners.push([kind, listener]);
    return native.on(kind, (event) => played.has(kind) || listener(event));
  };
  const answered = [];
  const kicked = [];
  const given = [];
  const stream = {
    ...native.stream,
    answer: async (...args) => void answered.push(args),
    kick: async (...args) => void kicked.push(args),
    give: async (...args) => void given.push(args),
    ...(devices && { devices: async () => devices }),
  };
  app = await start({ native: { ...native, on, stream, host: { ...native.host, init: () => library() } }, ...more });
  await app.until(() => app.has(`#machine_${painter}`));
  const { router } = await app.env.modules["viewmodel/Router"]();
  router().openStream(painter);
  await app.until(() => app.has("#stream_other") && !app.sees("Loading"));
  return { answered, kicked, given };
}

/** The machine runs: an app that ended has saved it. */
async function runs() {
  await app.until(() => app.has("#stream_start") || app.has("#stream_enable") || app.has("#stream_disable"));
  if (app.has("#stream_start")) await app.click("#stream_start");
  await app.until(() => app.has("#stream_enable") || app.has("#stream_disable"), 60_000);
}

for (const language of ["base", "zh_CN"]) {
  test(`off, it says who would see what; on, it has a code for one device (${language})`, options, async () => {
    if (await state(painter) === "running") await native.life.forceOff(painter);
    await opened({ language });
    await seen(app, language, "stream_sees_screen");
    await seen(app, language, "stream_off_note");
    assert.ok(!app.has("#stream_enable"), "what does not run is not shown");
    await app.click("#stream_start");
    await app.until(() => app.has("#stream_enable"), 60_000);
    await app.click("#stream_enable");
    await app.until(() => app.has("#stream_qr"), 60_000);
    const { url } = await native.stream.show(painter);
    assert.ok(app.texts(app.find("#stream_url")).includes(url));
    const words = app.texts(app.find("#stream_words")).join(" ").split(/\s+/);
    assert.equal(words.length, 8);
    assert.ok(Number(app.find("#stream_left").textContent) > 100);
    await app.click("#stream_pair_again");
    await app.until(() => app.has("#stream_words") && app.texts(app.find("#stream_words")).join(" ").split(/\s+/).join() !== words.join());
    await app.click("#stream_disable");
    await app.until(() => app.has("#stream_enable"));
    assert.equal(await native.stream.show(painter), null);
  });
}

test("a device that asks is let in with what the owner chooses, or not", options, async () => {
  const { answered } = await opened();
  await runs();
  await app.click("#stream_enable");
  await app.until(() => app.has("#stream_qr"));
  const request = { request: "7", name: "A device <b>with</b> a very long name that it gave itself, on and on", address: "192.0.2.7", check: "4711", until: Date.now() + 60_000 };
  tell("pairing", { machine: "another", request });
  await app.settle();
  assert.ok(!app.has("#stream_request"), "another machine's is none of ours");
  tell("pairing", { machine: painter, request });
  await app.until(() => app.has("#stream_check"));
  assert.equal(app.find("#stream_check").textContent, "4711");
  assert.equal(app.find("#stream_request_name").textContent, request.name);
  await seen(app, "base", "check");
  for (const note of ["drive_note", "right_clipboard_note", "right_files_note"]) await seen(app, "base", note);
  // The clipboard needs control, files do not: who is not let drive gets no clipboard.
  await app.click("#stream_right_clipboard");
  await app.click("#stream_right_drive");
  await assert.rejects(app.click("#stream_right_clipboard"), /switched off/);
  await app.click("#stream_right_files");
  await app.click("#stream_allow");
  await app.until(() => answered.length === 1);
  assert.deepEqual(answered[0], [painter, "7", ["watch", "files"]]);
  tell("pairing", { machine: painter, request: { ...request, request: "8" } });
  // The one before has to be answered first.
  await app.until(() => app.has("#stream_refuse") && !app.find("#stream_refuse").hasAttribute("disabled")
    && app.find("#stream_refuse").getAttribute("aria-disabled") !== "true");
  await app.click("#stream_refuse");
  await app.until(() => answered.length === 2);
  assert.deepEqual(answered[1], [painter, "8", []]);
  tell("pairing", { machine: painter, request: { ...request, request: "9" } });
  await app.until(() => app.has("#stream_allow") && app.find("#stream_allow").getAttribute("aria-disabled") !== "true");
  await app.click("#stream_right_clipboard");
  await app.click("#stream_right_files");
  await app.click("#stream_allow");
  await app.until(() => answered.length === 3);
  assert.deepEqual(answered[2], [painter, "9", ["watch", "drive", "clipboard", "files"]]);
});

test("who watches is listed, counted in the title, and sent away", options, async () => {
  const { kicked, given } = await opened();
  const viewer = { viewer: "3", device: "d", name: "Tablet", address: "192.0.2.9", rights: ["watch", "drive"], driving: true, asking: false, since: Date.now() - 60_000 };
  const stream = { url: "https://192.0.2.1:4433", lasting: false };
  await runs();
  if (app.has("#stream_enable")) await app.click("#stream_enable");
  await app.until(() => app.has("#stream_disable"), 60_000);
  tell("viewers", { machine: painter, stream, viewers: [viewer] });
  await app.until(() => app.has("#kick_3"));
  assert.ok(app.texts(app.find("#stream_viewers")).some((one) => one.startsWith("In control")));
  assert.ok(!app.has("#kick_3_drive"), "it drives already");
  // Another one asks, and is let drive; who may only watch never is.
  const asks = { ...viewer, viewer: "4", name: "Phone", driving: false, asking: true };
  const watches = { ...viewer, viewer: "5", name: "TV", driving: false, rights: ["watch"] };
  tell("viewers", { machine: painter, stream, viewers: [viewer, asks, watches] });
  await app.until(() => app.has("#kick_5"));
  assert.ok(!app.has("#kick_5_drive"));
  assert.ok(app.texts(app.find("#stream_viewers")).some((one) => one.startsWith("Asks for control")));
  await app.click("#kick_4_drive");
  await app.until(() => given.length === 1);
  assert.deepEqual(given[0], [painter, "4"]);
  tell("viewers", { machine: painter, stream, viewers: [viewer] });
  await app.until(() => !app.has("#kick_4"));
  await app.click("#kick_3");
  await app.until(() => kicked.length === 1);
  assert.deepEqual(kicked[0], [painter, "3"]);
  const { router } = await app.env.modules["viewmodel/Router"]();
  router().root.clear();
  router().openScreen(painter);
  await app.until(() => app.has("#screen_facts") && app.texts(app.find("#screen_facts")).join().includes("1 device watches"));
  assert.equal(app.find("#screen_share").getAttribute("aria-label"), "1 device watches");
});

for (const language of ["base", "zh_CN"]) {
  test(`what each device may do is told (${language})`, options, async () => {
    const may = [["watch", "drive", "clipboard", "files"], ["watch", "files"], ["watch"]];
    const device = (rights, n) => ({ device: `d${n}`, name: `Device ${n}`, machine: painter, rights, paired: Date.now(), lastSeen: Date.now() });
    await opened({ language, devices: may.map(device) });
    await app.until(() => app.has("#revoke_d2"));
    const told = app.texts(app.find("#stream_devices"));
    const [control, clipboard, files, watch] = language === "base" ? ["Control", "Clipboard", "Files", "Watch"] : ["可操作", "剪贴板", "文件", "只看"];
    for (const rights of [[control, clipboard, files], [watch, files], [watch]]) {
      assert.ok(told.some((one) => one.startsWith(`${rights.join(" · ")} · `)), `${rights} in ${told}`);
    }
  });
}

test("devices that may come again are listed with their machines", options, async () => {
  await opened();
  const { router } = await app.env.modules["viewmodel/Router"]();
  router().root.clear();
  router().openMine("devices");
  await app.until(() => app.sees("No devices"));
});
