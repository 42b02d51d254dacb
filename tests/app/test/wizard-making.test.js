// Machines that the wizard makes and starts: real ones, with what they begin with, how far they are, and what stops them.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { closeSync, openSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, before, test } from "node:test";
import { until } from "../../napi/lib/module.js";
import { lent, painted, paintingDisk, state } from "../../napi/lib/machines.js";
import { home, library, native } from "./lib/pages.js";
import { choose, opened, told, wizard } from "./lib/wizard.js";

let disk;
before(async () => {
  await library();
  disk = paintingDisk(home);
});
let app;
/** Ends and removes all machines, so that the next test begins with none. */
const restart = async () => {
  await app?.close();
  app = undefined;
  for (const { id } of await native.machines.list()) {
    await native.life.forceOff(id).catch(() => {});
    await native.machines.remove(id);
    await native.machines.purge(id);
  }
};
afterEach(restart);
/** Waits until a machine runs. An error on the page ends the waiting. */
const running = () => app.until(async () => {
  assert.ok(!app.has("#error_card"), app.texts().join(" | "));
  return (await native.machines.list()).find((one) => one.state === "running");
}, 60_000);
const only = async () => {
  const all = await native.machines.list();
  assert.equal(all.length, 1);
  return all[0];
};
const emptied = async () => {
  assert.deepEqual(await native.machines.list(), []);
  assert.deepEqual(await native.machines.trash(), []);
};

/** Through an old system's steps with a file of one's own, up to the button that makes it. */
async function ready(options = {}) {
  app = await opened({ picks: [[`file://docs${disk}`]], ...options });
  await choose(app, "old", "#image_own");
  await app.set("#memory_slider", 64);
  await app.click("#wizard_next");
  await app.until(() => app.has("#field_name"));
}

test("an image of one's own is copied, the machine runs, its screen opens, and the draft is done", async () => {
  const preferences = {};
  await ready({ preferences });
  assert.equal(app.find("#field_name").value, "painting");
  await app.click("#wizard_create");
  const { id } = await running();
  await painted(id, "green");
  const { router } = await app.env.modules["viewmodel/Router"]();
  await app.until(() => router().root.getAllPathName().join() === "screen");
  assert.equal(router().root.getParamByIndex(0).id, id);
  const machine = await native.machines.show(id);
  assert.equal(JSON.parse(machine.document).memory.mib, 64);
  assert.deepEqual((await native.disks.list(id)).drives.find(({ kind }) => kind === "disk").size, 1 << 20, "as large as the image");
  // The file was the wizard's until then; the picker's descriptor is closed now, and nothing waits for the next time.
  const { wizard: model } = await wizard(app);
  assert.equal(model().file.ref, undefined);
  assert.equal(preferences.wizard.draft, undefined);
});

test("an image of the library and no image at all make machines, too", async () => {
  await lent(disk, "painting.img", (file) => native.media.add(file, []).run());
  for (const image of ["[id='medium_painting.img']", "#image_none"]) {
    app = await opened();
    await choose(app, "old", image);
    await app.set("#memory_slider", 64);
    if (image === "#image_none") {
      const { wizard: model } = await wizard(app);
      while (model().choice.diskSize > 0) await app.click("#disk_less");
    }
    await app.click("#wizard_next");
    await app.click("#wizard_create");
    const { id } = await running();
    const disks = (await native.disks.list(id)).drives.filter(({ kind }) => kind === "disk");
    assert.equal(disks.length, image === "#image_none" ? 0 : 1);
    await restart();
  }
});

test("what is doubtful is asked for with its figures before anything is made", async () => {
  for (const language of ["base", "zh_CN"]) {
    await ready({ language });
    const { cpus } = await native.presets.limits();
    const { wizard: model } = await wizard(app);
    model().figures.setCpus(cpus.comfortable + 1);
    await app.click("#wizard_create");
    const [dialog] = await app.until(() => app.overlays.length > 0 && app.overlays);
    assert.ok(dialog.texts.join(" ").includes(String(cpus.comfortable + 1)), dialog.texts.join(" "));
    await app.click(language === "base" ? "Change it" : "回去修改");
    await app.until(() => app.has("#wizard_create"));
    await emptied();
    await app.click("#wizard_create");
    await app.until(() => app.overlays.length > 0);
    await app.click(language === "base" ? "Create anyway" : "仍要创建");
    await running();
    assert.equal((await only()).cpus, cpus.comfortable + 1);
    await restart();
  }
});

test("a file that holds no disk is refused in both languages, and the button leads to another choice", async () => {
  const notes = join(home, "notes.img");
  writeFileSync(notes, "these are no bytes of a disk\n".repeat(100));
  for (const language of ["base", "zh_CN"]) {
    await ready({ language, picks: [[`file://docs${notes}`]] });
    assert.equal(app.find("#field_name").value, "notes");
    await app.click("#wizard_create");
    await app.until(() => app.has("#error_card"), 60_000);
    await told(app, language, "err_not_a_disk_what", "#error_card");
    await emptied();
    await app.click("#error_fix");
    assert.ok(app.has("#image_own"));
    await restart();
  }
});

test("an error is told in its place in both languages, and another file puts it right", async () => {
  for (const language of ["base", "zh_CN"]) {
    const gone = openSync(disk, "r");
    await ready({ language, picks: [[`file://docs${disk}`], [`file://docs${disk}`]] });
    closeSync(gone);
    const { wizard: model } = await wizard(app);
    // The descriptor goes bad, as that of a drive that was pulled out.
    closeSync(model().file.ref.fd);
    await app.click("#wizard_create");
    await app.until(() => app.has("#error_card"), 60_000);
    await told(app, language, "err_io_what", "#error_card");
    await emptied();
    assert.ok(app.has("#field_name"), "the choices are still there");
    await app.click("#summary_image");
    // What is at that number by now is not the file that was chosen.
    model().file.file = undefined;
    await app.click("#image_own");
    await app.until(() => app.has("#memory_slider"));
    await app.click("#wizard_next");
    await app.click("#wizard_create");
    await running();
    await restart();
  }
});

test("a making that is stopped leaves no machine, and keeps the draft", async () => {
  const large = join(home, "large.img");
  writeFileSync(large, readFileSync(disk));
  truncateSync(large, 1 << 30);
  const jobs = [];
  const create = (draft, codes) => {
    const job = native.machines.create(draft, codes);
    jobs.push(job);
    return job;
  };
  await ready({ picks: [[`file://docs${large}`]], own: { machines: { create } } });
  await app.type("#field_name", "Stopped");
  await app.click("#wizard_create");
  await app.until(() => app.has("#making_cancel"));
  await app.click("#making_cancel");
  await app.until(() => app.has("#wizard_create"), 60_000);
  await emptied();
  assert.equal(app.find("#field_name").value, "Stopped");
  assert.ok(!app.has("#error_card"), "the person knows that they stopped it");
  // Nothing stands in the way of another attempt.
  await app.click("#wizard_create");
  await running();
  assert.equal((await only()).name, "Stopped");
});

test("stopped while it starts, the machine goes, too", async () => {
  const started = [];
  let model;
  // Told while the job is under way: a start may be over before anybody looks at the page again.
  const start = (id, options) => {
    const job = native.life.start(id, options);
    started.push(id);
    setImmediate(() => model().making.cancel());
    return job;
  };
  await ready({ own: { life: { start } } });
  ({ wizard: model } = await wizard(app));
  await app.click("#wizard_create");
  await until("it starts", () => started.length > 0);
  await app.until(() => app.has("#wizard_create"), 60_000);
  await emptied();
});

test("a download says how far it is, is stopped, and goes on from there", async () => {
  const content = Buffer.alloc(8 << 20, 0);
  readFileSync(disk).copy(content);
  const sha256 = createHash("sha256").update(content).digest("hex");
  const asked = [];
  let stalls = true;
  const server = createServer((request, response) => {
    const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
    asked.push(from);
    response.writeHead(from ? 206 : 200, {
      "content-length": content.length - from, "accept-ranges": "bytes", etag: '"1"',
      ...(from && { "content-range": `bytes ${from}-${content.length - 1}/${content.length}` }),
    });
    // Never all of what is left: it would be there.
    if (stalls) response.write(content.subarray(from, from + ((content.length - from) >> 1)));
    else response.end(content.subarray(from));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  // The catalogue is the module's own. In its place what an entry would download comes from here, by the same queue.
  const create = (draft, codes) => {
    const { entry, ...rest } = draft;
    const first = native.downloads.address(`http://127.0.0.1:${server.address().port}/entry.img`, "entry.img", sha256);
    let job = first;
    return {
      id: first.id,
      cancel: () => job.cancel(),
      run: async (onProgress) => {
        await first.run(onProgress);
        job = native.machines.create({ ...rest, preset: "old", arch: "x86_64", memory: 64, medium: "entry.img", disk: undefined }, codes);
        return job.run(onProgress);
      },
    };
  };
  try {
    app = await opened({ own: { machines: { create } } });
    await choose(app, "linux", "[id^=entry_debian-13-console_]");
    await app.click("#wizard_next");
    await app.click("#wizard_create");
    await app.until(() => app.texts(app.find("#making_download")).some((one) => /^\d+%/.test(one)));
    await told(app, "base", "w_phase_waits", "#making_start");
    await app.until(() => app.has("#making_pause"));
    await app.click("#making_pause");
    await app.until(() => app.texts(app.find("#making_download")).some((one) => /paused$/.test(one)));
    await app.click("#making_pause");
    await app.until(() => !app.texts(app.find("#making_download")).some((one) => /paused$/.test(one)));
    await app.click("#making_cancel");
    await app.until(() => app.has("#wizard_create"));
    await emptied();
    assert.deepEqual((await native.downloads.unfinished()).map(({ name }) => name), ["entry.img"]);
    stalls = false;
    await app.click("#wizard_create");
    const { id } = await running();
    assert.ok(asked.at(-1) > 0, `the rest alone is asked for: ${asked}`);
    await painted(id, "green");
    const { hints } = await app.env.modules["viewmodel/Hints"]();
    assert.equal(hints().of(id).login.code.split("_")[0], "login");
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test("left while it is made, it goes on, and says when it runs", async () => {
  await ready();
  const run = app.click("#wizard_create");
  await app.until(() => app.has("#making") || app.has("#notice"));
  const { router } = await app.env.modules["viewmodel/Router"]();
  router().root.removeByName("wizard");
  await run;
  await told(app, "base", "w_made", "#notice");
  const { id } = await only();
  assert.equal(await state(id), "running");
  await app.click("#notice_action");
  await app.until(() => router().root.getAllPathName().join() === "screen");
});

test("a machine that does not start is there, says why, and starts with less memory", async () => {
  let refused = 0;
  const start = (id, options) => {
    if (refused++ > 0) return native.life.start(id, options);
    const params = { wanted_mib: 128, available_mib: 100, room_mib: 96, memory_mib: 1000 };
    const error = Object.assign(new Error("the machine would exhaust the memory"), { code: "no_memory", params });
    return { id: "", cancel() {}, run: () => Promise.reject(error) };
  };
  await ready({ language: "zh_CN", own: { life: { start } } });
  await app.click("#wizard_create");
  await told(app, "zh_CN", "w_made_not_started", "#made_not_started");
  await told(app, "zh_CN", "err_no_memory_what", "#error_card");
  await app.click("#error_fix");
  const { id } = await running();
  assert.equal(JSON.parse((await native.machines.show(id)).document).memory.mib, 96);
});
