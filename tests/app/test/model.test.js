// The app's plain functions: figures, moments, links, the layout of snapshots.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { model, texts } from "./lib/models.js";

const format = await model("format");
const { layOut, LANES } = await model("timeline");
const { targetOfLink, targetOfParameters } = await model("deepLink");
const { cancelled, failure, toConfirm } = await model("failure");

test("sizes have at most one digit after the point, and never 1024 of a unit", () => {
  const GIB = 2 ** 30;
  const said = new Map([
    [0, "0 B"], [1023, "1023 B"], [1024, "1 KB"], [1536, "1.5 KB"], [2 ** 20 - 1, "1 MB"], [512 * 2 ** 20, "512 MB"],
    [GIB - 1, "1 GB"], [18.4 * GIB, "18.4 GB"], [99.96 * GIB, "100 GB"], [1024 * GIB - 1, "1 TB"], [-1, "–"], [NaN, "–"], [Infinity, "–"],
  ]);
  for (const [bytes, text] of said) assert.equal(format.formatBytes(bytes), text, String(bytes));
  assert.equal(format.formatMemory(6144), "6 GB");
  assert.equal(format.formatSpeed(8.4 * 2 ** 20), "8.4 MB/s");
});

test("work that is not over is never at 100 %", () => {
  assert.equal(format.formatPercent(999_999, 1_000_000), "99%");
  assert.equal(format.formatPercent(1_000_000, 1_000_000), "100%");
  assert.equal(format.formatPercent(5, 0), "");
  assert.equal(format.percent(-5, 10), 0);
});

test("spans are said by their two largest units", () => {
  const said = [[0, "0 s"], [59_999, "59 s"], [60_000, "1 min"], [3_600_000, "1 h"], [4_320_000, "1 h 12 min"], [86_400_000, "1 day"],
    [5 * 86_400_000, "5 days"], [-1, "0 s"]];
  for (const [ms, text] of said) assert.equal(format.formatSpan(ms, texts), text, String(ms));
  assert.equal(format.formatLeft(30_000, texts), "less than a minute left");
  // Rounded up: two minutes and a second are not promised as two.
  assert.equal(format.formatLeft(121_000, texts), "3 min left");
});

test("moments are as short as they are clear", () => {
  const now = new Date(2026, 10, 29, 9, 30).getTime();
  const at = (...parts) => format.formatMoment(new Date(...parts).getTime(), now, texts);
  assert.equal(at(2026, 10, 29, 8, 5), "08:05");
  assert.equal(at(2026, 10, 28, 22, 14), "yesterday 22:14");
  assert.equal(at(2026, 10, 18, 7, 0), "18 Nov");
  assert.equal(at(2025, 11, 31, 23, 59), "31 Dec 2025");
});

const node = (id, time, parent) => ({ id, time, parent, name: id, note: "", memory: false, picture: false });

test("the line of the present is in the first lane, branches are beside it", () => {
  //  a ── b ── c ── (now)
  //        └── d
  const nodes = [node("a", 1), node("b", 2, "a"), node("d", 3, "b"), node("c", 4, "b")];
  const { rows, folded } = layOut(nodes, "c", false);
  assert.deepEqual(rows.map(({ snapshot, lane, through, last }) => [snapshot.id, lane, through, last]), [
    ["c", 0, [], true], ["d", 1, [0], false], ["b", 0, [], false], ["a", 0, [], false],
  ]);
  assert.equal(folded, 0);
});

test("branches beyond the third are folded, and nothing is lost by unfolding", () => {
  const nodes = [node("root", 0), ...Array.from({ length: 6 }, (_, i) => node(`b${i}`, i + 1, "root"))];
  const some = layOut(nodes, "b5", false);
  assert.equal(some.folded, 6 - LANES);
  assert.equal(some.rows.length, 7 - some.folded);
  const all = layOut(nodes, "b5", true);
  assert.equal(all.rows.length, 7);
  assert.equal(new Set(all.rows.map(({ lane }) => lane)).size, 6);
});

test("a damaged tree is laid out all the same", () => {
  const { rows } = layOut([node("a", 1, "b"), node("b", 2, "a"), node("c", 3, "gone")], "nowhere", false);
  assert.deepEqual(rows.map(({ snapshot }) => snapshot.id), ["c", "b", "a"]);
  assert.deepEqual(layOut([], undefined, false), { rows: [], folded: 0 });
});

test("links open pages and nothing else", () => {
  assert.deepEqual(targetOfLink("sampan://machine/01J9-abc"), { page: "machine", machine: "01J9-abc" });
  for (const bad of ["", "sampan://machine/", "sampan://machine/a/start", "sampan://machine/../x", "https://machine/a", "sampan://start/a",
    "sampan://machine/a?start=1", `sampan://machine/${"a".repeat(65)}`, "sampan://machine/%2e%2e"]) {
    assert.equal(targetOfLink(bad), undefined, bad);
  }
  assert.deepEqual(targetOfParameters("wizard", "x"), { page: "wizard", machine: "" });
  assert.equal(targetOfParameters("settings/reset", ""), undefined);
  assert.equal(targetOfParameters("machine", "../x"), undefined);
});

test("whatever is thrown is told as a message", () => {
  const own = Object.assign(new Error("no space"), { code: "no_space", params: { path: "/x" } });
  assert.deepEqual(failure(own), { code: "no_space", params: { path: "/x" }, message: "no space" });
  assert.equal(failure(new TypeError("x is not a function")).code, "internal");
  assert.equal(failure("text").message, "text");
  assert.deepEqual(toConfirm({ code: "needs_confirm", params: { codes: "a b" }, message: "" }), ["a", "b"]);
  assert.deepEqual(toConfirm({ code: "no_space", params: { codes: "a" }, message: "" }), []);
  assert.ok(cancelled({ code: "cancelled", params: {}, message: "" }));
});

test("every layout that the core knows has a title, and no other", async () => {
  const { LAYOUTS, US_LAYOUT } = await model("layouts");
  const file = await readFile(new URL("../../../native/input/layouts.txt", import.meta.url), "utf8");
  const lines = file.split("\n").filter((line) => line && !line.startsWith("#") && !line.startsWith("dead "));
  const known = new Set(lines.map((line) => line.split(" ")[0]));
  assert.deepEqual(LAYOUTS.map((layout) => layout.name).sort(), [...known].sort());
  assert.equal(LAYOUTS[0].name, US_LAYOUT);
  assert.equal(new Set(LAYOUTS.map((layout) => layout.title)).size, LAYOUTS.length);
});
