// The pages of a machine's details, with the real module and real machines.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { rejection, until } from "../../napi/lib/module.js";
import { lent, paintingDisk, paintingMachine, smallest, state } from "../../napi/lib/machines.js";
import { home, library, native, openPage, seen, start, text } from "./lib/pages.js";

let still, painter, app;

before(async () => {
  await library();
  still = (await native.machines.create(smallest("still"), []).run()).id;
  painter = await paintingMachine(home, "painter");
});
after(async () => {
  await app?.close();
  for (const { id } of await native.machines.list()) await native.life.forceOff(id).catch(() => {});
});

const fresh = async (options) => {
  await app?.close();
  app = await start(options);
  return app;
};
/** Leaving the app has suspended it. */
async function running() {
  if (await state(painter) !== "running") await native.life.start(painter).run();
  await app.until(async () => await state(painter) === "running");
}
const memoryOf = async (id) => JSON.parse((await native.machines.show(id)).document).memory.mib;

test("memory of a stopped machine is changed, and the list has it", async () => {
  await fresh();
  await openPage(app, still, "#detail_hardware");
  await app.until(() => app.has("#hw_memory_more"));
  assert.ok(!app.has("#hw_apply"), "nothing to apply yet");
  await app.click("#hw_memory_more");
  assert.equal(app.find("#hw_memory_value").textContent, "128 MB");
  await app.until(() => app.has("#hw_apply"));
  await app.click("#hw_apply");
  await app.until(() => !app.has("#hw_apply"));
  assert.equal(await memoryOf(still), 128);
  assert.equal((await native.machines.list()).find(({ id }) => id === still).memory, 128);
  await app.back();
  await app.until(() => app.texts(app.find("#detail_hardware")).includes("128 MB"));
});

for (const language of ["base", "zh_CN"]) {
  test(`what cannot be is said under its field, with the fix (${language})`, async () => {
    await fresh({ language });
    await openPage(app, still, "#detail_hardware");
    await app.until(() => app.has("#hw_cpus_more"));
    const { cpus } = await native.presets.limits();
    for (let count = 1; count <= cpus.comfortable; count++) await app.click("#hw_cpus_more");
    await app.until(() => app.has("[id='hw_fix_cpu.count']"));
    await app.until(() => app.texts().some((one) => text(language, "err_cpus_shared_what").test(one.split("\n")[0])));
    await app.click("#hw_apply");
    await seen(app, language, "confirm_title");
    await app.click(language === "base" ? "Cancel" : "取消");
    assert.equal(JSON.parse((await native.machines.show(still)).document).cpu.count, 1, "nobody agreed");
    await app.click("[id='hw_fix_cpu.count']");
    assert.equal(app.find("#hw_cpus_value").textContent, String(cpus.comfortable));
    // An argument's text goes to QEMU as it is; a name with a line break is no JSON that could go wrong.
    await app.type("#hw_arguments", "-name\n  guest=\"x\"  \n\n");
    await app.click("#hw_undo");
    await app.until(() => !app.has("#hw_apply"));
  });
}

test("ports are led, taken away, and put back", async () => {
  await fresh();
  await openPage(app, still, "#detail_network");
  await app.until(() => app.has("#forward_first"));
  await app.click("#forward_first");
  await app.type("#forward_host", "99999");
  assert.throws(() => app.find("#forward_done").click?.() ?? assert.fail(), "cannot be pressed");
  await app.type("#forward_host", "2322");
  await app.click("#forward_done");
  await app.until(() => app.has("#forward_2322"));
  const [forward] = await native.forwards.list(still);
  assert.deepEqual(forward, { protocol: "tcp", address: "127.0.0.1", hostPort: 2322, guestPort: 22, count: 1 });
  await app.click("#forward_remove_2322");
  await app.until(() => app.has("#notice_action"));
  assert.deepEqual(await native.forwards.list(still), []);
  await app.click("#notice_action");
  await app.until(() => app.has("#forward_2322"));
  assert.deepEqual(await native.forwards.list(still), [forward]);
});

for (const language of ["base", "zh_CN"]) {
  test(`a port that is taken is told, and another one proposed (${language})`, async () => {
    for (const one of await native.forwards.list(still)) await native.forwards.remove(still, one);
    await native.forwards.add(still, { protocol: "tcp", address: "127.0.0.1", hostPort: 2322, guestPort: 22, count: 1 });
    await fresh({ language });
    await openPage(app, still, "#detail_network");
    await app.until(() => app.has("#forward_add"));
    await app.click("#forward_add");
    await app.type("#forward_host", "2322");
    await app.click("#forward_done");
    await seen(app, language, "err_port_in_use_what", "#error_card");
    await seen(app, language, "err_port_in_use_why", "#error_card");
    await app.click("#forward_other");
    await app.until(() => app.has("#forward_2323"));
    assert.ok(!app.has("#error_card"), "what worked takes the failure away");
  });
}

test("disks are added, grown, taken off and put back", async () => {
  await fresh();
  await openPage(app, still, "#detail_drives");
  await app.until(() => app.has("#drive_add"));
  await app.click("#drive_add");
  while (app.find("#disk_size_value").textContent !== "1 GB") await app.click("#disk_size_less");
  await app.click("#disk_done");
  await app.until(() => app.has("#drive_more_disk0"));
  const size = async () => (await native.disks.list(still)).drives.find(({ id }) => id === "disk0")?.size;
  assert.equal(await size(), 2 ** 30);
  await app.click("#drive_more_disk0");
  await app.click("#drive_grow_disk0");
  assert.equal(app.find("#disk_size_value").textContent, "2 GB");
  await app.click("#disk_done");
  await app.until(async () => await size() === 2 ** 31);
  await app.until(() => app.texts(app.find("#drive_fact_disk0"))[0].includes("2 GB"));
  await app.click("#drive_more_disk0");
  await app.click("#drive_remove_disk0");
  await app.until(() => app.has("#drive_restore_disk0"));
  assert.equal(await size(), undefined);
  await app.click("#notice_action");
  await app.until(() => app.has("#drive_more_disk0"));
  assert.equal(await size(), 2 ** 31);
});

test("an image becomes a disk, and a CD goes in and out", async () => {
  const image = paintingDisk(home);
  await lent(image, "tools.iso", (file) => native.media.add(file, ["not_a_medium"]).run());
  await fresh({ picks: [[`file://${image}`]] });
  await openPage(app, still, "#detail_drives");
  await app.until(() => app.has("#drive_image"));
  const count = async () => (await native.disks.list(still)).drives.length;
  const before = await count();
  await app.click("#drive_image");
  await app.until(async () => await count() === before + 1 || app.overlays.length > 0);
  if (app.overlays.length > 0) await app.click("Continue");
  await app.until(async () => await count() === before + 1);

  const medium = async () => (await native.disks.list(still)).drives.find(({ id }) => id === "cd0").medium;
  await app.click("#drive_more_cd0");
  await app.click("[id='drive_insert_tools.iso']");
  await app.until(() => app.texts(app.find("#drive_fact_cd0")).includes("tools.iso"));
  assert.equal(await medium(), "tools.iso");
  await app.click("#drive_more_cd0");
  await app.click("#drive_eject_cd0");
  await app.until(() => app.texts(app.find("#drive_fact_cd0")).includes("Empty"));
  assert.equal(await medium(), undefined);
});

test("a folder that was shared is lent again at each start, and given back when no machine shares it", async () => {
  const kept = join(home, "kept folder");
  mkdirSync(kept, { recursive: true });
  const [preferences, device] = [{}, { type: "tablet" }];
  await fresh({ picks: [[`file://${kept}`]], preferences, device });
  await openPage(app, still, "#detail_shares");
  await app.until(() => app.has("#share_add"));
  await app.click("#share_add");
  await app.until(() => app.has("#share_done"));
  await app.type("#share_tag", "kept");
  await app.click("#share_done");
  await app.until(() => app.has("#share_mount_kept"));
  const noted = (what) => app.calls.filter(({ name }) => name === `fileShare.${what}`).map(({ args }) => args[0][0].uri);
  assert.deepEqual(noted("persistPermission"), [`file://${kept}`]);
  assert.equal(preferences.folders[kept], `file://${kept}`);

  await fresh({ preferences, device });
  await app.until(() => noted("activatePermission").length > 0);
  assert.deepEqual(noted("activatePermission"), [`file://${kept}`]);
  assert.deepEqual(noted("revokePermission"), []);

  await native.shares.remove(still, "kept");
  await fresh({ preferences, device });
  await app.until(() => noted("revokePermission").length > 0);
  assert.deepEqual([noted("revokePermission"), noted("activatePermission")], [[`file://${kept}`], []]);
  assert.equal(preferences.folders[kept], undefined);

  // A phone lends nothing for good: the folder is shared until the app ends, and nothing is remembered.
  await fresh({ picks: [[`file://${kept}`]], preferences, device: { type: "phone" } });
  await openPage(app, still, "#detail_shares");
  await app.until(() => app.has("#share_add"));
  await app.click("#share_add");
  await app.until(() => app.has("#share_done"));
  await app.type("#share_tag", "kept");
  await app.click("#share_done");
  await app.until(() => app.has("#share_mount_kept"));
  assert.equal(preferences.folders[kept], undefined);
  await native.shares.remove(still, "kept");
});

test("a folder is shared by the system's picker, and VNC's password is shown once", async () => {
  const work = join(home, "work");
  mkdirSync(work, { recursive: true });
  await fresh({ picks: [[`file://${work}`]] });
  await openPage(app, still, "#detail_shares");
  await app.until(() => app.has("#share_add"));
  await app.click("#share_add");
  await app.until(() => app.has("#share_done"));
  assert.ok(app.texts(app.find("#share_path")).includes(work));
  await app.type("#share_tag", "Work");
  await app.until(() => app.sees("Begin with a small letter; then small letters, digits and _, 20 at most"));
  await app.type("#share_tag", "work");
  await app.click("#share_done");
  await app.until(() => app.has("#share_mount_work"));
  const [share] = await native.shares.list(still);
  assert.deepEqual([share.tag, share.path, share.readOnly], ["work", work, true]);
  await app.click("#share_remove_work");
  await app.until(() => app.has("#notice_action"));
  assert.deepEqual(await native.shares.list(still), []);
  await app.click("#notice_action");
  await app.until(() => app.has("#share_mount_work"));

  await app.click("#vnc_toggle");
  await app.until(() => app.has("#vnc_password"));
  assert.match(app.find("#vnc_password").textContent, /^[\w-]{8}$/);
  assert.deepEqual(await native.vnc.show(still), { address: "127.0.0.1", port: 5900, hasPassword: true });
  await app.back();
  await app.click("#detail_shares");
  await app.until(() => app.has("#vnc_place"));
  assert.ok(!app.has("#vnc_password"), "never again");
  await app.click("#vnc_toggle");
  await until("it is off", async () => (await native.vnc.show(still)) === null);
});

for (const language of ["base", "zh_CN"]) {
  test(`a running machine says what counts when; its disks wait until it is off (${language})`, async () => {
    await fresh({ language });
    await running();
    await openPage(app, painter, "#detail_hardware");
    await app.until(() => app.has("#hw_memory_more"));
    await app.click("#hw_memory_more");
    await seen(app, language, "hw_counts_next");
    await app.click("#hw_mode");
    await app.click(language === "base" ? "#hw_mode_saver" : "#hw_mode_turbo");
    await seen(app, language, "hw_counts_now");
    await app.click("#hw_apply");
    await app.until(() => app.has("#hw_restart_now"));
    await seen(app, language, "hw_pending");
    await app.back();
    await app.click("#detail_drives");
    await app.until(() => app.has("#lock_shut_down"));
    await seen(app, language, "lock_running");
    await assert.rejects(app.click("#drive_add").then(() => app.find("#disk_done")), "a disk cannot come now");
    assert.equal(await rejection(native.disks.add(painter, 1 << 20, false, []).run()), "in_use");
  });
}

test("a log is read, and followed", async () => {
  await fresh();
  await running();
  await openPage(app, painter, "#more_logs");
  await app.until(() => app.has("#log_text"));
  // QEMU may say so a moment after the machine runs.
  await app.click("#log_follow");
  await app.until(() => /event RESUME/.test(app.find("#log_text").textContent));
  await native.life.pause(painter);
  await app.until(() => /event STOP/.test(app.find("#log_text").textContent));
  await native.life.resume(painter);
  await app.click("#log_copy");
  await app.until(() => app.has("#notice"));
});

for (const language of ["base", "zh_CN"]) {
  test(`a crash is told in plain words, with the report to pass on (${language})`, async () => {
    const { id } = await native.machines.create(smallest(`crashed ${language}`), []).run();
    const logs = join(home, "library/vms", `${id}.sampan`, "logs");
    mkdirSync(logs, { recursive: true });
    const time = Math.floor(Date.now() / 1000);
    const report = `crash-0${time}.txt`;
    writeFileSync(join(logs, report), "what happened\nthe last lines\n");
    writeFileSync(join(logs, "last.json"), JSON.stringify({ how: "died", words: "QEMU was killed by signal 11", time, report: join(logs, report) }));
    await fresh({ language });
    await app.until(() => app.has(`#machine_${id}`));
    await openPage(app, id, "#crash_report");
    await app.until(() => app.has("#report"));
    await seen(app, language, "rep_died", "#report");
    await seen(app, language, "end_died", "#report");
    assert.ok(app.texts(app.find("#report_details")).includes("QEMU was killed by signal 11"));
    await app.click("#report_show");
    assert.match(app.find("#report_text").textContent, /the last lines/);
    await app.click("#report_copy");
    await seen(app, language, "copied");
    await native.machines.remove(id);
  });
}

test("which way the clipboard is shared is chosen, and a running machine without the port waits for its next start", async () => {
  await fresh();
  await openPage(app, still, "#detail_shares");
  await app.until(() => app.has("#clip_policy"));
  const before = await native.clipboard.policy(still);
  assert.ok(app.texts(app.find("#clip_policy")).includes({ off: "Off", both: "Both ways", "to-guest": "To the guest", "from-guest": "From the guest" }[before ?? "off"]));
  await app.click("#clip_policy");
  await app.click("#clip_policy_to-guest");
  await app.until(async () => await native.clipboard.policy(still) === "to-guest");
  await app.until(() => app.texts(app.find("#clip_policy")).includes("To the guest"));
  await running();
  await app.back();
  await app.back();
  await openPage(app, painter, "#detail_shares");
  await app.until(() => app.has("#clip_policy"));
  const port = await native.clipboard.policy(painter);
  await app.click("#clip_policy");
  await app.click("#clip_policy_both");
  await app.until(() => app.texts(app.find("#clip_policy")).includes("Both ways"));
  assert.equal(app.texts().some((one) => text("base", "clip_policy_next").test(one)), port === null);
});

test("VNC is beside showing a machine on another device", async () => {
  await fresh();
  await openPage(app, still, "#detail_stream");
  await app.until(() => app.has("#stream_vnc"));
  await app.click("#stream_vnc");
  await app.until(() => app.has("#vnc_toggle"));
});

for (const language of ["base", "zh_CN"]) {
  test(`a suspended machine is locked, and says what unlocks it (${language})`, async () => {
    if (await state(painter) !== "suspended") await native.life.suspend(painter).run();
    await fresh({ language });
    await openPage(app, painter, "#detail_hardware");
    await app.until(() => app.has("#lock_discard"));
    await seen(app, language, "lock_suspended");
    await app.until(() => app.has("#hw_memory_more"));
    await assert.rejects(app.click("#hw_memory_more"), /switched off/);
    assert.equal(await rejection(native.machines.change(painter, [{ field: "memory.mib", value: "256" }], [])), "suspended");
    for (const control of ["#detail_drives", "#detail_network", "#detail_shares"]) {
      await app.back();
      await app.click(control);
      await app.until(() => app.has("#lock_discard"));
    }
    await app.click("#lock_discard");
    await seen(app, language, "discard_ask");
    await app.click(language === "base" ? "Cancel" : "取消");
    assert.equal(await state(painter), "suspended");
  });
}

test("what is given up lets the machine start anew", async () => {
  await app.click("#lock_discard");
  await app.click("重新启动");
  await until("it runs", async () => await state(painter) === "running");
  await app.until(() => !app.has("#lock_discard"));
  await native.life.forceOff(painter);
});
