import assert from "node:assert/strict";
import { test } from "node:test";
import { Api, ConsoleError, errorWords } from "../src/console/api.ts";
import { Poll } from "../src/console/poll.ts";
import { strings } from "../src/console/strings.ts";
import { cardView, human } from "../src/console/view.ts";
import { ACTIONS, parseVms, viewerUrl } from "../src/console/vm.ts";
import type { Vm } from "../src/console/vm.ts";

const ID = "01234567-89ab-4def-8123-456789abcdef";

const vm = (change: Partial<Vm> = {}): Vm => ({
  id: ID, name: "debian", state: "stopped", detail: "", problem: "", arch: "x86_64", memoryMib: 2048, cpus: 2,
  usage: 1536 * 1024 * 1024, viewer: undefined, picture: undefined, doing: undefined, askedToStop: false,
  crash: undefined, ...change,
});

test("a listing is read with care", () => {
  const [read] = parseVms([{
    id: ID, name: "a", state: "running", detail: "", arch: "aarch64", memory_mib: 512, cpus: 1, usage: 5,
    viewer: "http://127.0.0.1:5/#token=x", picture: "live", doing: null, asked_to_stop: true, problem: null,
  }]) ?? [];
  assert.equal(read?.viewer, "http://127.0.0.1:5/#token=x");
  assert.deepEqual([read.picture, read.doing, read.askedToStop, read.memoryMib], ["live", undefined, true, 512]);
  assert.equal(parseVms({}), undefined);
  assert.equal(parseVms(null), undefined);
  const odd = [null, 1, {}, { id: "../x" }, { id: ID, memory_mib: "2", name: null, doing: "fly", viewer: 5 }];
  assert.deepEqual(parseVms(odd)?.map(({ name, memoryMib, doing, viewer }) => ({ name, memoryMib, doing, viewer })),
    [{ name: ID, memoryMib: undefined, doing: undefined, viewer: undefined }], "a machine without a name has its id");
});

test("only viewers on this machine become links", () => {
  for (const good of ["http://127.0.0.1:1/#token=x", "http://localhost:2/", "http://[::1]:3/"]) {
    assert.equal(viewerUrl(good), good);
  }
  for (const bad of ["javascript:alert(1)", "https://127.0.0.1/", "http://evil.example/", "http://127.0.0.1.evil.example/",
    "//127.0.0.1/", "", 5, null]) {
    assert.equal(viewerUrl(bad), undefined, String(bad));
  }
});

test("each state offers what makes sense in it", () => {
  assert.deepEqual(cardView(vm()).actions, ["start"]);
  assert.deepEqual(cardView(vm({ state: "suspended" })).actions, ["start"]);
  assert.ok(!cardView(vm({ state: "paused" })).actions.includes("stop"), "nobody would hear the power button");
  for (const state of ["silent", "starting"]) assert.deepEqual(cardView(vm({ state })).actions, ["force-stop"]);
  for (const state of ["broken", "ending", "something new"]) assert.deepEqual(cardView(vm({ state })).actions, []);
  for (const action of ACTIONS) {
    assert.ok(Object.keys(strings.state).some((state) => cardView(vm({ state })).actions.includes(action)), action);
  }
});

test("states are told in words", () => {
  assert.equal(cardView(vm({ state: "powered-off" })).state, "Powered off");
  assert.equal(cardView(vm({ state: "something new" })).state, "something new");
  const starting = cardView(vm({ doing: "start", detail: "QEMU died" }));
  assert.deepEqual([starting.state, starting.busy, starting.words], ["Starting…", true, ""]);
  const asked = cardView(vm({ state: "running", askedToStop: true }));
  assert.deepEqual([asked.state, asked.words], [strings.askedToStop, strings.askedToStopDetail]);
  assert.equal(cardView(vm({ problem: "no", detail: "more" })).words, "no");
  assert.equal(cardView(vm({ detail: "more" })).words, "more");
  assert.equal(cardView(vm()).facts, "x86_64 · 2 GiB · 2 CPUs · 1.5 GiB on disk");
  assert.equal(cardView(vm({ arch: "", memoryMib: undefined, cpus: 1, usage: undefined })).facts, "1 CPU");
});

test("after a crash the report is offered, and to start it again", () => {
  const [died, plain] = parseVms([
    { id: ID, state: "stopped", crash: { time: 5, report: true } }, { id: ID, state: "stopped", crash: "x" },
  ]) ?? [];
  assert.deepEqual([died?.crash, plain?.crash], [{ report: true }, undefined]);
  const view = cardView(vm({ crash: { report: true } }));
  assert.deepEqual([view.state, view.start, view.report, view.actions], [strings.crashed, "Start again", true, ["start"]]);
  assert.equal(cardView(vm({ crash: { report: false } })).report, false);
  assert.equal(cardView(vm({ crash: { report: true }, doing: "start" })).state, "Starting…");
  assert.deepEqual([cardView(vm()).start, cardView(vm()).report], ["Start", false]);
});

test("sizes have few digits", () => {
  const sizes = [0, 1023, 1024, 1536, 10 * 1024, 1024 ** 3, 5000 * 1024 ** 4];
  assert.deepEqual(sizes.map(human), ["0 bytes", "1023 bytes", "1 KiB", "1.5 KiB", "10 KiB", "1 GiB", "5000 TiB"]);
});

test("the console's words come through, whatever it answers", async () => {
  assert.equal(errorWords('{"error":"wait"}'), "wait");
  for (const text of ["plain", "null", '{"error":5}', "{"]) assert.equal(errorWords(text), text);
  const asked: { path: string; options: RequestInit | undefined }[] = [];
  const answers = [
    new Response('{"error":"being started"}', { status: 409 }),
    new Response("[]"),
    new Response("nonsense"),
    new Response("", { status: 401 }),
  ];
  const api = new Api("secret", async (path, options) => {
    asked.push({ path: String(path), options });
    const answer = answers.shift();
    if (answer === undefined) throw new TypeError("failed to fetch");
    return answer;
  });
  const refused = await api.act(ID, "pause").catch((error: unknown) => error);
  assert.ok(refused instanceof ConsoleError);
  assert.deepEqual([refused.message, refused.words.final], ["being started", false]);
  assert.equal(asked[0]?.path, `/api/vms/${ID}`);
  assert.equal(asked[0]?.options?.body, '{"action":"pause"}');
  assert.equal((asked[0]?.options?.headers as Record<string, string>)["Authorization"], "Bearer secret");
  assert.deepEqual(await api.list(), []);
  const titles: string[] = [];
  for (let i = 0; i < 3; i++) {
    await api.list().catch((error: ConsoleError) => titles.push(`${error.words.title} ${error.words.final}`));
  }
  assert.deepEqual(titles, [`${strings.failed} false`, `${strings.refused} true`, `${strings.gone} false`]);
});

test("asks again after a pause, never twice at a time, and not while it is stopped", async () => {
  const timers = new Map<number, () => void>();
  let next = 0, asked = 0;
  const ends: (() => void)[] = [];
  const clock = {
    after: (ms: number, then: () => void) => {
      assert.equal(ms, 2000);
      timers.set(++next, then);
      return next;
    },
    cancel: (timer: number) => void timers.delete(timer),
  };
  const fire = () => {
    const due = [...timers.values()];
    timers.clear();
    for (const then of due) then();
  };
  const end = async () => {
    ends.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  const poll = new Poll(() => {
    asked += 1;
    return new Promise((resolve) => ends.push(resolve));
  }, 2000, clock);
  poll.now();
  assert.equal(asked, 0, "not before it is started");
  poll.start();
  poll.start();
  assert.equal(asked, 1);
  await end();
  assert.equal(asked, 2, "what was wished for meanwhile comes at once");
  await end();
  assert.deepEqual([asked, timers.size], [2, 1]);
  fire();
  assert.equal(asked, 3);
  poll.stop();
  await end();
  assert.deepEqual([asked, timers.size], [3, 0]);
  poll.start();
  await end();
  poll.now();
  assert.deepEqual([asked, timers.size], [5, 0], "at once takes the place of the pause");
});
