// What a guest exchanges with its owner: each with its state, where it is turned on, what to type for the rest. With real machines; an agent
// that answers is told in the module's place, as no small guest has one.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { paintingMachine, state, tinyMachine } from "../../napi/lib/machines.js";
import { model } from "./lib/models.js";
import { home, library, native, openPage, runs, seen, start, text } from "./lib/pages.js";

const { FeatureRemedy, installGroups, portValue, remedyOf } = await model("guestFeatures");
let app, painter, tiny;
/** What answers in the guest, where a test plays it. */
let answering;
let tell = () => {};

before(async () => {
  await library();
  painter = await paintingMachine(home, "painter");
  tiny = await tinyMachine("tiny");
});
after(async () => {
  await app?.close();
  for (const id of [painter, tiny]) await native.life.forceOff(id).catch(() => {});
});

async function opened(id, options) {
  await app?.close();
  const listeners = [];
  const on = (kind, listener) => {
    if (kind === "machine") listeners.push(listener);
    return native.on(kind, listener);
  };
  const show = async (machine) => {
    const shown = await native.machines.show(machine);
    if (!answering || machine !== tiny) return shown;
    const features = shown.features.map((one) => one.feature === "agent" || one.feature === "files" ? { ...one, state: "works", install: [] } : one);
    return { ...shown, status: { ...shown.status, agent: answering }, features };
  };
  tell = (status) => listeners.forEach((listener) => listener(status));
  app = await start({ native: { ...native, on, machines: { ...native.machines, show }, host: { ...native.host, init: () => library() } }, ...options });
  await openPage(app, id, "#detail_features");
  await app.until(() => app.has("#feat_all"));
}
const told = (feature) => app.find(`#feat_state_${feature}`).textContent;
const says = (language, feature, name) => text(language, name).test(told(feature));

test("a line is told once, with all that it is for", () => {
  const debian = [{ system: "debian", line: "apt install spice-vdagent" }];
  const other = [{ system: "debian", line: "apt install qemu-guest-agent" }];
  const all = [["sound", []], ["clipboard", debian], ["files", other], ["sizes", debian], ["agent", other]]
    .map(([feature, install]) => ({ feature, state: install.length > 0 ? "noAgent" : "works", install }));
  assert.deepEqual(installGroups(all).map(({ features, install }) => [features.join(), install]), [["clipboard,sizes", debian], ["files,agent", other]]);
  assert.deepEqual(installGroups([]), []);
});

test("each field that a feature can lack is set somewhere", () => {
  const where = (field) => remedyOf({ feature: "files", state: "off", field, install: [] });
  for (const field of ["sound.device", "sound.input", "sound.microphone", "sound.muted"]) assert.equal(where(field), FeatureRemedy.HARDWARE);
  for (const field of ["serial.vdagent", "serial.agent"]) assert.equal(where(field), FeatureRemedy.PORT);
  assert.equal(where("input.clipboard"), FeatureRemedy.SHARES);
  assert.equal(where(undefined), FeatureRemedy.NONE);
  assert.deepEqual([portValue("serial.vdagent", "old"), portValue("serial.agent", "old"), portValue("serial.agent", "linux")], ["true", '"uart"', '"virtio"']);
});

for (const language of ["base", "zh_CN"]) {
  test(`a machine that is off says what is known, and that it must run for the rest (${language})`, async () => {
    if (await state(tiny) !== "off") await native.life.forceOff(tiny);
    await opened(tiny, { language });
    assert.ok(says(language, "sound", "feat_works"));
    assert.ok(says(language, "microphone", "feat_off"));
    for (const feature of ["clipboard", "files", "agent"]) assert.ok(says(language, feature, "feat_not_known"), feature);
    assert.ok(says(language, "sizes", "feat_by_driver"));
    await seen(app, language, "feat_must_run");
    // Nobody knows yet which system it is: a line for each, and it is what the module says.
    const { features } = await native.machines.show(tiny);
    const lines = features.find(({ feature }) => feature === "agent").install;
    assert.equal(lines.length, 4);
    for (const { system, line } of lines) assert.equal(app.find(`#feat_line_agent_${system}`).textContent, line);
    await app.click("#feat_copy_agent_alpine");
    await seen(app, language, "copied");
    assert.equal(app.env.clipboard.getPrimaryText(), lines.find(({ system }) => system === "alpine").line);
    await app.back();
    const count = `${features.filter((one) => ["works", "byDriver"].includes(one.state)).length}`;
    await app.until(() => app.texts(app.find("#detail_features")).some((one) => text(language, "feat_count").test(one) && one.includes(count)));
  });
}

test("a machine that runs is followed: what is turned off, who answers, what goes", async () => {
  await native.life.forceOff(tiny).catch(() => {});
  await opened(tiny);
  await app.click("#feat_start");
  await app.until(async () => await state(tiny) === "running", 60_000);
  await app.until(() => says("base", "agent", "feat_no_agent"));
  await seen(app, "base", "feat_wait");
  assert.ok(!app.has("#feat_start"));
  // What others change is seen at once.
  await native.clipboard.setPolicy(tiny, "off");
  await app.until(() => says("base", "clipboard", "feat_off"));
  await native.clipboard.setPolicy(tiny, "both");
  await app.until(() => says("base", "clipboard", "feat_no_agent"));
  await native.sound.set(tiny, 1, true, false);
  await app.until(() => says("base", "sound", "feat_off"));
  await native.sound.set(tiny, 1, false, false);
  await app.until(() => says("base", "sound", "feat_works"));
  // An agent comes.
  answering = { version: "9.2", system: "Alpine Linux", addresses: [] };
  const { status } = await native.machines.show(tiny);
  tell({ ...status, agent: answering });
  await app.until(() => says("base", "agent", "feat_works"));
  assert.ok(says("base", "files", "feat_works"));
  await app.until(() => !app.has("#feat_install_agent"));
  assert.ok(app.has("#feat_install_clipboard"));
  answering = undefined;
  await native.life.pause(tiny);
  await seen(app, "base", "feat_paused");
  await app.click("#feat_resume");
  await app.until(async () => await state(tiny) === "running");
  await app.until(() => !app.has("#feat_resume"));
  await native.life.forceOff(tiny);
  await app.until(() => says("base", "agent", "feat_not_known"));
});

test("a device that a machine lacks is added here, now or with its next start; what is off leads to where it is turned on", async () => {
  await native.life.forceOff(painter).catch(() => {});
  await opened(painter);
  assert.ok(says("base", "files", "feat_no_device"));
  await app.click("#feat_set_files");
  await app.until(() => says("base", "files", "feat_not_known"));
  const serial = async () => JSON.parse((await native.machines.show(painter)).document).serial;
  assert.equal((await serial()).vdagent, true);
  assert.ok(!text("base", "feat_next").test(app.texts().join("\n")));
  await runs(painter);
  await app.until(() => says("base", "files", "feat_no_agent"));
  await app.click("#feat_set_agent");
  await seen(app, "base", "feat_next");
  assert.equal((await serial()).agent, "uart");
  await app.click("#feat_set_microphone");
  await app.until(() => app.has("#snd_microphone"));
  await app.back();
  await app.until(() => app.has("#feat_all"));
  await native.clipboard.setPolicy(painter, "off");
  await app.until(() => says("base", "clipboard", "feat_off"));
  await app.click("#feat_set_clipboard");
  await app.until(() => app.has("#clip_policy"));
});

test("what is suspended gets no device, and says why", async () => {
  await native.machines.change(tiny, [{ field: "serial.vdagent", value: "false" }], []);
  await runs(tiny);
  await native.life.suspend(tiny).run();
  await opened(tiny, { language: "zh_CN" });
  await seen(app, "zh_CN", "lock_suspended");
  await assert.rejects(app.click("#feat_set_clipboard"), /switched off/);
});
