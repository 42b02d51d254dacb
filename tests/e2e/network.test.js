// Bad networks between the server and a real browser: narrow ones, ones that go away for a while, and ones that become others.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Viewer, launch } from "./lib/browser.js";
import { sleep, until } from "./lib/processes.js";
import { GOOD, Relay } from "./lib/relay.js";
import { Sampan } from "./lib/sampan.js";
import { likeness, shows } from "./lib/truth.js";
import { watched } from "./lib/watch.js";

/** A picture whose largest difference nobody sees; the guest's text is 4:4:4 in Chromium. */
const SAME_DB = 45;
const LONG_MS = 180_000;

describe("bad networks", () => {
  let sampan, guest, browser, viewer, relay;

  before(async () => {
    [sampan, browser] = await Promise.all([Sampan.run(), launch()]);
    guest = sampan.guest;
  });

  after(async () => {
    await browser?.close();
    relay?.close();
    await sampan?.stop();
  });

  const status = async () =>
    (await fetch(`${sampan.origin}/status`, { headers: { Authorization: `Bearer ${sampan.token}` } })).json();

  /** The viewer goes, and its network. */
  async function left() {
    relay?.set({ ...GOOD });
    await viewer?.close();
    await until(async () => (await status()).viewers.length === 0, "the one before to leave", LONG_MS);
    relay?.close();
  }

  /** A viewer over a network of its own, in place of the one before. */
  async function over(conditions) {
    await left();
    relay = new Relay(conditions);
    viewer = await Viewer.open(browser, sampan.url, { prepare: (page) => relay.attach(page) });
    await viewer.driving(LONG_MS);
    await viewer.reaches((await guest.state()).counter, LONG_MS);
  }

  const peers = () => viewer.page.evaluate(() => globalThis.sampanPeers.length);

  /** The viewer's number at the server: another connection is another viewer. */
  const number = async () => {
    const { viewers } = await status();
    assert.equal(viewers.length, 1);
    assert.equal(viewers[0].driving, true);
    return viewers[0].label;
  };

  test("one packet of twenty lost is one picture late, not a freeze", async (t) => {
    await guest.workload("scroll", 20);
    await over({});
    const look = () => watched(viewer, async () => viewer.frames(160, LONG_MS));
    const good = await look();
    relay.set({ loss: 0.05 });
    const lossy = await look();
    t.diagnostic(`longest gap ${good.longest.toFixed(0)} ms without losses, ${lossy.longest.toFixed(0)} ms with `
      + `${relay.lost} of ${relay.lost + relay.passed} lost; freezes ${lossy.freezes.count}, ${lossy.again} packets again`);
    assert.ok(relay.lost > 10 && lossy.again > 0, "packets were lost and sent again");
    // A freeze of half a second beyond what this computer does without losses is one that retransmission did not prevent.
    assert.ok(lossy.longest < good.longest + 500, `${lossy.longest} ms against ${good.longest} ms`);
    relay.set({ loss: 0 });
  });

  test("after two seconds of nothing the picture comes back by itself, over the same connection", async (t) => {
    await over({ delay: 20 });
    const before = [await peers(), await number()];
    await watched(viewer, async () => {
      relay.set({ down: true });
      await sleep(2000);
      relay.set({ down: false });
    });
    const { counter } = await guest.state();
    await viewer.reaches(counter, LONG_MS);
    await guest.workload("idle");
    t.diagnostic(`${(await shows(sampan, viewer, SAME_DB, LONG_MS)).toFixed(1)} dB afterwards`);
    assert.deepEqual([await peers(), await number()], before);
  });

  test("a path of 300 kb/s and 100 ms is kept to, keyframes included", async (t) => {
    const rate = 300_000;
    await guest.workload("scroll", 20);
    await over({ rate, delay: 50, queue: 4000 });
    // What was believed of the path before anything was known of it has gone out by then.
    await until(async () => (await status()).viewers[0].bitrate <= rate * 1.1, "the path's rate to be found", LONG_MS);
    await until(() => relay.backlog() < 150, "the queue of the beginning to empty", LONG_MS, 10);
    relay.takeLongestWait();
    const bytes = relay.down.bytes;
    const seen = await watched(viewer, () => viewer.frames(60, LONG_MS));
    const moving = relay.takeLongestWait();
    const sent = ((relay.down.bytes - bytes) * 8) / seen.seconds;
    assert.ok(sent <= rate, `${sent} b/s`);
    // Whoever comes to a screen at rest, or has lost something, is sent a keyframe: a page that is asked for one stands for both.
    await guest.workload("full", 1);
    await viewer.reaches((await guest.state()).counter + 1, LONG_MS);
    const changes = relay.takeLongestWait();
    await guest.workload("idle");
    const best = await likeness(sampan, viewer);
    t.diagnostic(`${(sent / 1000).toFixed(0)} kb/s; longest queue ${moving.toFixed(0)} ms while it scrolls, ${changes.toFixed(0)} ms `
      + `where all changes; ${best?.toFixed(1)} dB at once`);
    // 300 ms of the path's rate for a keyframe, and what may be on its way besides.
    assert.ok(moving < 600, `${moving} ms wait before the path`);
    assert.ok(changes < 600, `${changes} ms wait before the path`);
    await shows(sampan, viewer, 30, LONG_MS);
  });

  test("whoever opens the page over such a path has no queue from the first picture on", async (t) => {
    await guest.workload("scroll", 20);
    await left();
    relay = new Relay({ rate: 300_000, delay: 50, queue: 60_000 });
    viewer = await Viewer.open(browser, sampan.url, { prepare: (page) => relay.attach(page) });
    await until(() => viewer.page.evaluate(() => document.querySelector("video")?.videoWidth > 0), "a picture", LONG_MS);
    const first = relay.takeLongestWait();
    await viewer.frames(40, LONG_MS);
    const then = relay.takeLongestWait();
    t.diagnostic(`longest queue ${first.toFixed(0)} ms before the first picture, ${then.toFixed(0)} ms in the 40 after it`);
    assert.ok(first < 600, `${first} ms`);
    assert.ok(then < 600, `${then} ms`);
  });

  test("on a narrow path beside a wide one each has the pictures that its path takes", async (t) => {
    await guest.workload("scroll", 20);
    await over({ rate: 1_000_000, delay: 20, queue: 4000 });
    const wide = await Viewer.open(browser, sampan.url);
    let narrowest;
    try {
      await wide.connected(LONG_MS);
      await until(async () => (await status()).viewers.some(({ bitrate }) => bitrate > 4_000_000), "the wide path's rate to be found", LONG_MS);
      // More than the narrow path takes.
      await guest.workload("full", 10);
      await wide.reaches((await guest.state()).counter + 20, LONG_MS);
      const [narrow, beside] = await Promise.all([viewer, wide].map((one) => watched(one, () => sleep(8000))));
      t.diagnostic(`${narrow.pictures} pictures over the narrow path, ${beside.pictures} over the wide one in the same time`);
      assert.ok(beside.pictures > 10 && narrow.pictures > beside.pictures / 2, "it is not led from keyframe to keyframe");
      // Who comes over a path of which nothing is known is not sent what the others are.
      narrowest = new Relay({ rate: 300_000, delay: 50, queue: 60_000 });
      const late = await Viewer.open(browser, sampan.url, { prepare: (page) => narrowest.attach(page) });
      await until(() => late.page.evaluate(() => document.querySelector("video")?.videoWidth > 0), "a picture", LONG_MS);
      const first = narrowest.takeLongestWait();
      t.diagnostic(`${first.toFixed(0)} ms of queue before the first picture at 300 kb/s`);
      assert.ok(first < 1500, `${first} ms`);
      await guest.workload("idle");
      await shows(sampan, wide, SAME_DB, LONG_MS);
      await shows(sampan, viewer, SAME_DB, LONG_MS);
      await shows(sampan, late, 30, LONG_MS);
      await late.close();
    } finally {
      await wide.close();
      narrowest?.close();
    }
  });

  test("a page whose way is cut off finds another one: the same viewer, the same driver, no new connection", async (t) => {
    await guest.workload("scroll", 20);
    await over({});
    const before = [await peers(), await number()];
    const began = performance.now();
    relay.move();
    await until(async () => (await viewer.marks()).connection === "rerouting", "the page to notice", LONG_MS);
    const noticed = performance.now();
    assert.match(await viewer.page.locator(".notice").innerText(), /interrupted/);
    await viewer.connected(LONG_MS);
    await viewer.reaches((await guest.state()).counter, LONG_MS);
    t.diagnostic(`noticed after ${(noticed - began).toFixed(0)} ms, back ${(performance.now() - noticed).toFixed(0)} ms later`);
    assert.deepEqual([await peers(), await number()], before);
    assert.equal((await viewer.marks()).driving, "true");
    await guest.workload("desk");
    await guest.ask({ cmd: "clear" });
    await viewer.page.keyboard.type("still here");
    await until(async () => (await guest.state()).text.endsWith("still here"), "the keys", LONG_MS);
  });

  test("so does one whose address has changed on the way", async () => {
    await guest.workload("scroll", 20);
    const before = [await peers(), await number()];
    relay.rebind();
    const { counter } = await guest.state();
    await viewer.reaches(counter + 100, LONG_MS);
    await viewer.connected(LONG_MS);
    assert.deepEqual([await peers(), await number()], before);
  });

  test("twenty seconds of nothing are waited through", async () => {
    const before = [await peers(), await number()];
    relay.set({ down: true });
    await sleep(20_000);
    relay.set({ down: false });
    await viewer.reaches((await guest.state()).counter, LONG_MS);
    await viewer.connected(LONG_MS);
    assert.deepEqual([await peers(), await number()], before);
    assert.deepEqual(viewer.problems.filter((problem) => !/Failed to load resource/.test(problem)), []);
  });
});
