// What pages ask and are told without any machine running.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { closeSync, mkdirSync, openSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { folder, native, qemu, rejection, until } from "./lib/module.js";
import { lent, paintingDisk, smallest } from "./lib/machines.js";

const home = folder();
const library = join(home, "library");

before(async () => assert.deepEqual(await native.host.init(library, qemu), []));

test("the same library may be opened again, another one may not", async () => {
  assert.deepEqual(await native.host.init(library, qemu), []);
  assert.equal(await rejection(native.host.init(join(home, "other"), qemu), (error) => {
    assert.equal(error.params.home, library);
  }), "already_initialised");
});

test("this host says what it can run, and why not better", async () => {
  const { guests, accelerators } = await native.host.capabilities();
  assert.deepEqual(guests.map(({ arch }) => arch), ["aarch64", "x86_64"]);
  assert.ok(guests.find(({ arch }) => arch === "x86_64").by, "this test's machines run");
  for (const { name, usable, why } of accelerators) {
    assert.ok(["kvm", "tcg", "tci"].includes(name) && typeof usable === "boolean", name);
    assert.ok(why.code && why.message, name);
  }
  const figures = await native.host.figures();
  assert.ok(figures.cores >= 1 && figures.memory > figures.available && figures.disk > 0);
});

test("a choice is looked at as it is typed", async () => {
  const presets = await native.presets.list();
  assert.deepEqual(presets.map(({ preset }) => preset), ["linux", "windows11", "windows10", "android", "other", "old"]);
  assert.deepEqual(presets.at(-1).archs, ["x86_64"]);
  const { cpus, memory, disk } = await native.presets.limits();
  for (const range of [cpus, memory, disk]) {
    assert.ok(range.min <= range.comfortable && range.comfortable <= range.max && range.step > 0);
  }
  const draft = await native.presets.defaults("linux", "x86_64");
  assert.equal(await rejection(native.presets.validate(draft)), "bad_name");
  assert.deepEqual(await native.presets.validate({ ...draft, name: "fine" }), []);
  const [found] = await native.presets.validate({ ...draft, name: "huge", memory: memory.max + 256 });
  assert.equal(found.severity, "refuse");
  assert.equal(found.field, "memory.mib");
  assert.ok(Number(found.fix) <= memory.comfortable);
  assert.equal(await rejection(native.machines.create({ ...draft, name: "huge", memory: memory.max + 256 }, []).run()), found.message.code);
  assert.equal(await rejection(native.presets.validate({ ...draft, name: "x", disk: -1 })), "invalid");
  assert.equal(await rejection(native.presets.validate({ ...draft, name: "x", medium: "nothing.iso" })), "no_medium");
  assert.throws(() => native.presets.validate({ ...draft, name: "x", preset: "plan9" }), "what is no preset is no argument");
});

test("a choice is changed, and what is wrong with a change stands under its field", async () => {
  const change = (field, value) => ({ field, value });
  const draft = smallest("made otherwise");
  const found = await native.presets.validate({ ...draft, changes: [change("displays.devise", "std"), change("cpu.count", "0")] });
  const refused = found.filter(({ severity }) => severity === "refuse").map(({ field }) => field);
  assert.deepEqual(refused, ["displays.devise", "cpu.count"]);
  const changes = [change("network.cards.0.isolated", "true"), change("extra.arguments", '["-boot", "menu=on"]')];
  assert.equal(await rejection(native.machines.create({ ...draft, changes: [change("name", "x")] }, []).run()), "bad_field");
  const codes = (await native.presets.validate({ ...draft, changes })).map(({ severity, message }) => {
    assert.notEqual(severity, "refuse", message.message);
    return message.code;
  });
  const { id } = await native.machines.create({ ...draft, changes }, codes).run();
  const { network, extra } = JSON.parse((await native.machines.show(id)).document);
  assert.deepEqual([network.cards[0].isolated, extra.arguments], [true, ["-boot", "menu=on"]]);
  const experimental = (await native.presets.list()).filter((one) => one.experimental).map(({ preset }) => preset);
  assert.deepEqual(experimental, ["windows11", "windows10", "android"]);

  // What an image had and the new disk has not is told.
  const added = await lent(paintingDisk(home), "disk.img", (file) => native.disks.addImage(id, file, []).run());
  assert.deepEqual(added, { drive: "disk0", notes: [] });
  await native.machines.remove(id);
  const [trashed] = (await native.machines.trash()).filter((one) => one.id === id);
  assert.ok(trashed.size > 0 && trashed.deleted > 0);
  await native.machines.purge(id);
});

test("a machine is changed, and a doubtful change is confirmed by its code", async () => {
  const { id } = await native.machines.create(smallest("changed"), []).run();
  const change = (field, value) => [{ field, value }];
  assert.deepEqual(await native.machines.change(id, change("name", "renamed"), []).then(({ warnings }) => warnings), []);
  assert.equal((await native.machines.list()).find((one) => one.id === id).name, "renamed");
  const { cpus } = await native.presets.limits();
  const many = change("cpu.count", String(cpus.comfortable + 1));
  const [found] = await native.machines.check(id, many);
  assert.equal(found.severity, "confirm");
  assert.equal(await rejection(native.machines.change(id, many, [])), "needs_confirm");
  assert.deepEqual((await native.machines.change(id, many, [found.message.code])).nextStart, ["cpu"]);
  assert.equal(await rejection(native.machines.change(id, change("cpu.cuont", "1"), [])), "bad_field");

  const drive = await native.disks.add(id, 1 << 20, false, []).run();
  assert.equal(await native.disks.grow(id, drive, 2 << 20, []).run(), 2 << 20);
  const { drives } = await native.disks.list(id);
  assert.equal(drives.find((one) => one.id === drive).size, 2 << 20);
  await native.disks.remove(id, drive);
  assert.deepEqual((await native.disks.list(id)).removed.map((one) => one.id), [drive]);
  assert.equal(await native.disks.restore(id, drive), drive);

  const forward = { protocol: "tcp", address: "127.0.0.1", hostPort: 2222, guestPort: 22, count: 1 };
  await native.forwards.add(id, forward);
  assert.deepEqual(await native.forwards.list(id), [forward]);
  await native.forwards.remove(id, forward);
  assert.deepEqual(await native.forwards.list(id), []);

  const work = join(home, "work");
  mkdirSync(work);
  assert.equal(await rejection(native.shares.add(id, home, "all", true, []), (error) => {
    assert.equal(error.params.codes, "share_gives_all");
  }), "needs_confirm");
  const share = await native.shares.add(id, work, "work", true, []);
  assert.equal(share.path, work);
  assert.ok(share.readOnly && share.mount.includes(" work "));
  await native.shares.remove(id, "work");
  assert.deepEqual(await native.shares.list(id), []);

  // It has no port for it yet, and gets one with the next start.
  assert.equal(await native.clipboard.policy(id), null);
  await native.clipboard.setPolicy(id, "to-guest");
  assert.equal(await native.clipboard.policy(id), "to-guest");
  assert.equal(await rejection(native.clipboard.getText(id)), "not_running");
  assert.equal(await rejection(native.clipboard.setText(id, "中文", false)), "not_running");

  const password = await native.vnc.enable(id, "127.0.0.1", 5901);
  assert.match(password, /^[\w-]{8}$/);
  assert.deepEqual(await native.vnc.show(id), { address: "127.0.0.1", port: 5901, hasPassword: true });
  assert.equal(await native.vnc.setPassword(id, "secret"), false, "it counts from the next start on");
  assert.equal(await rejection(native.vnc.setPassword(id, "far too long"), (error) => {
    assert.equal(error.params.reason, "bad_vnc_password");
  }), "invalid");
  await native.vnc.disable(id);

  await native.guest.pin(id, "org.gnome.TextEditor", "文本编辑器");
  assert.deepEqual(await native.guest.pinned(id), [{ app: "org.gnome.TextEditor", machine: id, name: "文本编辑器", pinned: true }]);
  await native.guest.pin(id, "org.gnome.TextEditor");
  assert.deepEqual(await native.guest.pinned(id), []);
  assert.equal(await rejection(native.guest.pin(id, "../x", "x")), "no_such_app");
  assert.equal(await rejection(native.guest.apps(id, "zh-CN")), "not_running");
  assert.equal(await native.vnc.show(id), null);
  await native.machines.remove(id);
});

test("media come by descriptors, and a doubtful one is confirmed", async () => {
  const path = join(home, "notes.txt");
  writeFileSync(path, "these are no bytes of a disk\n".repeat(100));
  assert.equal(await lent(path, "notes.txt", (file) => rejection(native.media.add(file, []).run())), "needs_confirm");
  const medium = await lent(path, "/somewhere/notes.txt", (file) => native.media.add(file, ["not_a_medium"]).run());
  assert.deepEqual(medium, { name: "notes.txt", size: statSync(path).size, usedBy: [] });
  assert.deepEqual((await native.media.list()).map(({ name }) => name), ["notes.txt"]);
  const waste = (await native.storage.usage()).find(({ part }) => part === "unusedMedia");
  assert.ok(waste.bytes >= statSync(path).size);
  await native.storage.clean(["unusedMedia"]).run();
  assert.deepEqual(await native.media.list(), []);

  // One that is far too large for this host is refused before a byte is copied.
  const huge = join(home, "huge.img");
  writeFileSync(huge, "");
  truncateSync(huge, 2 ** 43);
  assert.equal(await lent(huge, "huge.img", (file) => rejection(native.media.add(file, []).run())), "no_space");
});

test("a download rests, and one over a network that costs money wants a yes", async () => {
  const content = Buffer.alloc(4 << 20, "sampan ");
  const sha256 = createHash("sha256").update(content).digest("hex");
  let slow = true;
  const server = createServer(async (request, response) => {
    const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
    response.writeHead(from ? 206 : 200, {
      "content-length": content.length - from, "accept-ranges": "bytes", etag: '"1"',
      ...(from && { "content-range": `bytes ${from}-${content.length - 1}/${content.length}` }),
    });
    for (let at = from; at < content.length && !response.destroyed; at += 1 << 16) {
      response.write(content.subarray(at, at + (1 << 16)));
      if (slow) await new Promise((resolve) => setTimeout(resolve, 100));
    }
    response.end();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = (name) => `http://127.0.0.1:${server.address().port}/${name}`;
  try {
    const job = native.downloads.address(url("slow.img"), "slow.img", sha256);
    const ended = job.run();
    const listed = async (holds) => (await native.jobs.list()).some((one) => one.id === job.id && holds(one));
    await until("it is on its way", () => listed(({ canPause, progress }) => canPause && progress?.done > 0));
    await native.jobs.pause(job.id);
    await until("it rests", () => listed(({ state, canPause }) => state === "paused" && !canPause));
    await native.jobs.resume(job.id);
    await until("it goes on", () => listed(({ state }) => state === "running"));
    await native.downloads.setNetwork(true, true);
    await until("it rests by itself", () => listed(({ state }) => state === "paused"));
    assert.equal(await rejection(native.jobs.resume(job.id), (error) => assert.equal(error.params.codes, "metered")), "needs_confirm");
    assert.equal(await rejection(native.downloads.address(url("other.img"), "other.img", sha256).run()), "needs_confirm");
    await native.downloads.setNetwork(false, false);
    assert.equal(await rejection(native.downloads.address(url("other.img"), "other.img", sha256).run()), "offline");
    await native.downloads.setNetwork(true, true);
    slow = false;
    await native.jobs.resume(job.id, ["metered"]);
    assert.equal((await ended).size, content.length);
    assert.equal((await native.downloads.address(url("other.img"), "other.img", sha256, ["metered"]).run()).size, content.length);
    assert.equal(await rejection(native.jobs.pause(job.id)), "job_not_found");
    assert.equal(await rejection(native.jobs.pause("x")), "job_not_found");
  } finally {
    await native.downloads.setNetwork(true, false);
    for (const { id } of await native.jobs.list()) await native.jobs.discard(id);
    await native.storage.clean(["unusedMedia"]).run();
    server.closeAllConnections();
    server.close();
  }
});

test("a download is cut off, goes on where it was, and is checked", async () => {
  const content = Buffer.alloc(8 << 20, "sampan ");
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
    // The first answer stops half way, and would for ever.
    if (stalls) response.write(content.subarray(from, from + (content.length >> 1)));
    else response.end(content.subarray(from));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}/system.img`;
  try {
    const first = native.downloads.address(url, "system.img", sha256);
    const told = [];
    const ended = rejection(first.run((progress) => told.push(progress)));
    await until("half of it is here", () => told.some(({ done }) => done >= content.length >> 2));
    const listed = (await native.jobs.list()).find(({ id }) => id === first.id);
    assert.equal(listed.kind, "download");
    assert.equal(listed.name, "system.img");
    first.cancel();
    assert.equal(await ended, "cancelled");
    assert.deepEqual((await native.downloads.unfinished()).map(({ name }) => name), ["system.img"]);
    stalls = false;
    const medium = await native.downloads.resume("system.img").run();
    assert.equal(medium.size, content.length);
    assert.ok(asked.at(-1) > 0, `the rest alone is asked for: ${asked}`);
    assert.deepEqual(await native.downloads.unfinished(), []);
    const wrong = native.downloads.address(url, "other.img", sha256.replace(/./g, "0"));
    assert.equal(await rejection(wrong.run()), "checksum_mismatch");
    // What has failed is listed until somebody has seen it.
    assert.equal((await native.jobs.list()).find(({ id }) => id === wrong.id).state, "failed");
    const again = await native.jobs.attach(wrong.id);
    assert.equal(await rejection(again.run()), "checksum_mismatch");
    await native.jobs.discard(wrong.id);
    assert.ok((await native.jobs.list()).every(({ id }) => id !== wrong.id));
    assert.equal(await rejection(native.jobs.attach(wrong.id)), "job_not_found");
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test("whoever listens hears the present first and the newest of what changes, however long JavaScript is busy", async () => {
  const lists = [];
  const jobs = [];
  const off = native.on("machines", (list) => lists.push(list));
  const offJobs = native.on("job", (job) => jobs.push(job));
  await until("the present is told", () => lists.length > 0);
  const made = [];
  for (let number = 0; number < 20; number++) {
    made.push(native.machines.create(smallest(`busy ${number}`), []));
  }
  // The engine does nothing else for ten seconds, in which twenty machines come to be.
  const before = lists.length;
  const busy = Date.now() + 10_000;
  while (Date.now() < busy);
  const ids = (await Promise.all(made.map((job) => job.run()))).map(({ id }) => id);
  await until("all are told", () => ids.every((id) => lists.at(-1).some((one) => one.id === id)));
  assert.ok(lists.length - before <= 5, `of lists that were told meanwhile the newest counts: ${lists.length - before}`);
  assert.ok(jobs.filter(({ state }) => state === "running").length <= 2 * ids.length, `${jobs.length}`);
  off();
  offJobs();
  off();
  const heard = lists.length;
  await Promise.all(ids.map((id) => native.machines.remove(id)));
  await native.storage.clean(["trash"]).run();
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.equal(lists.length, heard, "who has left hears nothing");
  assert.throws(() => native.on("weather", () => {}), { code: "invalid" });
});

test("a listener that throws keeps nobody else from hearing", async () => {
  const heard = [];
  const off = [
    native.on("host", () => { throw new Error("a page's own fault"); }),
    native.on("host", (figures) => heard.push(figures)),
  ];
  await until("the other hears", () => heard.length > 0);
  off.forEach((end) => end());
});

test("calls about what is not there say so", async () => {
  const nobody = "00000000-0000-4000-8000-000000000000";
  for (const ask of [
    () => native.machines.show(nobody), () => native.machines.remove(nobody), () => native.disks.list(nobody),
    () => native.snapshots.list(nobody), () => native.logs.runs(nobody), () => native.life.start(nobody).run(),
    () => native.machines.show("../etc"), () => native.machines.thumbnail(""),
  ]) {
    assert.equal(await rejection(ask()), "not_found", String(ask));
  }
  // Input to a screen that is gone is nothing.
  native.input.key("7", 2017, true);
  native.input.moveTo("7", Number.NaN, Infinity);
  native.screen.detach("7");
  native.serial.write("7", Buffer.from("x"));
  native.serial.close("7");
  assert.equal(await rejection(native.input.text("7", "x").run()), "screen_gone");
  const fd = openSync(paintingDisk(home), "r");
  closeSync(fd);
  assert.equal(await rejection(native.media.add({ fd, name: "gone.img" }, []).run()), "io");
});
