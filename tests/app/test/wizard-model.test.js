// What the wizard works out by itself: names, sizes, the order of images, drafts that are kept.
import assert from "node:assert/strict";
import { test } from "node:test";
import { model } from "./lib/models.js";

const GIB = 2 ** 30;

test("a name that is taken gets a number, however long it is", async () => {
  const { keyLines, uniqueName } = await model("draftNames");
  assert.equal(uniqueName("Debian 13", []), "Debian 13");
  assert.equal(uniqueName("Debian 13", ["debian 13", "Debian 13 2"]), "Debian 13 3");
  assert.equal(uniqueName(" a/b\\c\n", []), "a b c");
  const long = "x".repeat(200);
  assert.equal(uniqueName(long, []).length, 100);
  const second = uniqueName(long, [uniqueName(long, [])]);
  assert.ok(second.length === 100 && second.endsWith(" 2"));
  assert.deepEqual(keyLines(" ssh-ed25519 AAAA a \n\n ssh-rsa BBBB \n"), ["ssh-ed25519 AAAA a", "ssh-rsa BBBB"]);
});

test("the disk goes up and down by the same sizes, to nothing and to a bound", async () => {
  const { canGrowDisk, largerDisk, smallerDisk } = await model("draftSizes");
  const up = [0];
  while (canGrowDisk(up.at(-1))) up.push(largerDisk(up.at(-1)));
  const down = [up.at(-1)];
  while (down.at(-1) > 0) down.push(smallerDisk(down.at(-1)));
  assert.deepEqual(down.reverse(), up);
  assert.ok(up.length < 80, "a person need not tap for ever");
  assert.ok(up.includes(8 * GIB) && up.includes(64 * GIB));
  // A size in between comes to the next round one.
  assert.deepEqual([largerDisk(8.5 * GIB), smallerDisk(8.5 * GIB)], [9 * GIB, 8 * GIB]);
  assert.equal(smallerDisk(100), 0);
});

test("the memory's slider begins and ends on its steps, and old systems have small ones", async () => {
  const { Budget, MemoryScale } = await model("draftSizes");
  const limits = { memory: { min: 16, proposed: 2048, comfortable: 5000, max: 7100, step: 256 } };
  const scale = new MemoryScale(limits, "linux");
  assert.deepEqual([scale.min, scale.max, scale.near(1), scale.near(1100), scale.near(1e9)], [256, 6912, 256, 1024, 6912]);
  assert.ok(!scale.isTight(5000) && scale.isTight(5001));
  assert.ok(scale.easyPart > 60 && scale.easyPart < 80);
  const old = new MemoryScale(limits, "old");
  assert.deepEqual([old.min, old.max, old.step, old.near(64)], [32, 4096, 32, 64]);
  const little = new MemoryScale({ memory: { ...limits.memory, max: 100 } }, "linux");
  assert.ok(little.max >= little.min);
  const budget = new Budget({ memory: 8192, available: 6000 }, 2048);
  assert.deepEqual([budget.others, budget.own, budget.free], [2192, 2048, 3952]);
  assert.equal(Math.round(budget.share(budget.others) + budget.share(budget.own) + budget.share(budget.free)), 100);
  assert.equal(new Budget({ memory: 8192, available: 1000 }, 2048).free, 0);
});

test("images of the processor that runs fastest come first, and a tie leaves this host's first", async () => {
  const { beginnings, entryTitle, fastestFirst, installers, isDisc, readyDisks } = await model("draftEntries");
  const by = (ways) => (arch) => ways[arch] ?? "";
  assert.deepEqual(fastestFirst(["x86_64", "aarch64"], by({ x86_64: "tcg", aarch64: "kvm" })), ["aarch64", "x86_64"]);
  assert.deepEqual(fastestFirst(["aarch64", "x86_64"], by({ x86_64: "tcg", aarch64: "tcg" })), ["aarch64", "x86_64"]);
  assert.deepEqual(fastestFirst(["aarch64", "x86_64"], by({ x86_64: "tci" })), ["x86_64", "aarch64"]);
  const entry = (id, arch, more = {}) => ({ id, arch, name: id, kind: "disk", preset: "linux", cloudInit: true, featured: false, downloaded: false, ...more });
  const all = [
    entry("plain", "x86_64"), entry("star", "x86_64", { featured: true }), entry("star", "aarch64", { featured: true }),
    entry("asis", "aarch64", { cloudInit: false }), entry("here", "x86_64", { downloaded: true }), entry("else", "aarch64", { preset: "other" }),
  ];
  const ready = readyDisks(all, "linux", ["aarch64", "x86_64"]);
  assert.deepEqual(ready.first.map(({ id, arch }) => `${id} ${arch}`), ["star aarch64", "asis aarch64", "here x86_64"]);
  assert.deepEqual(ready.rest.map(({ id, arch }) => `${id} ${arch}`), ["plain x86_64", "star x86_64"]);
  const discs = Array.from({ length: 6 }, (_, i) => entry(`cd${i}`, "x86_64", { kind: "installer", downloaded: i === 5 }));
  assert.deepEqual(installers(discs, "linux", ["x86_64"]).first.map(({ id }) => id), ["cd5", "cd0", "cd1"]);
  assert.equal(entryTitle({ name: "Debian 13 (trixie), ready disk for cloud-init" }), "Debian 13");
  assert.ok(isDisc("A.ISO") && !isDisc("iso.img"));
  assert.deepEqual(beginnings([{ name: "a.iso" }, { name: "tiny-kernel" }, { name: "b.qcow2" }]).map(({ name }) => name), ["a.iso", "b.qcow2"]);
});

test("findings lie under their fields, and a fix that a field cannot take is none", async () => {
  const { fixText, placeOf, refusal, stepOf } = await model("draftFindings");
  const at = (code, field = "", params = {}) => placeOf({ field, message: { code, params, message: "" } });
  assert.deepEqual([at("memory_tight", "memory.mib"), at("cpus_shared", "cpu.count"), at("disk_may_outgrow", "drives.disk0")], ["memory", "cpus", "disk"]);
  assert.deepEqual([at("bad_name"), at("machine_name_taken"), at("bad_password"), at("not_a_key"), at("no_medium")], ["name", "name", "password", "keys", "image"]);
  assert.equal(placeOf(refusal({ code: "memory_out_of_range", params: { field: "memory.mib" }, message: "" })), "memory");
  assert.deepEqual([stepOf("image"), stepOf("memory"), stepOf("user"), stepOf("")], [2, 3, 4, 4]);
  const fix = (field, value) => fixText({ field, fix: value, severity: "confirm", message: { code: "x", params: {}, message: "" } });
  assert.deepEqual([fix("memory.mib", "4096"), fix("cpu.count", "2"), fix("drives.disk0", String(8 * GIB))], ["4 GB", "2", "8 GB"]);
  assert.deepEqual([fix("memory.mib", ""), fix("memory.mib", "much"), fix("memory.mib", "-1"), fix("sound.device", "1"), fix("memory.mib", undefined)], ["", "", "", "", ""]);
});

test("a draft is read as it was written, and what is none is none", async () => {
  const { readDraft, SavedDraft, writeDraft } = await model("draftSaved");
  const draft = Object.assign(new SavedDraft(), { preset: "linux", arch: "x86_64", source: "entry", entry: "e", memory: 1024, name: "名字", step: 3 });
  assert.deepEqual({ ...readDraft(writeDraft(draft)) }, { ...draft });
  assert.ok(!writeDraft(draft).includes("password"));
  for (const kept of ["", "{", "null", "[]", "1", '{"version":1}', '{"version":2,"preset":"linux"}', '{"version":1,"preset":7}']) {
    assert.equal(readDraft(kept), undefined, kept);
  }
  const odd = readDraft('{"version":1,"preset":"linux","memory":"x","name":[],"step":null}');
  assert.deepEqual([odd.memory, odd.name, odd.step], [-1, "", 1]);
});
