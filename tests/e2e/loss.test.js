// A network that loses packets between the server and a real browser.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Viewer, launch } from "./lib/browser.js";
import { Relay } from "./lib/relay.js";
import { Sampan } from "./lib/sampan.js";

describe("lossy network", () => {
  let sampan, guest, browser, viewer;
  const network = new Relay();

  before(async () => {
    [sampan, browser] = await Promise.all([Sampan.run(), launch()]);
    guest = sampan.guest;
    viewer = await Viewer.open(browser, sampan.url, { prepare: (page) => network.attach(page) });
    await viewer.connected();
  });

  after(async () => {
    await browser?.close();
    network.close();
    await sampan?.stop();
  });

  const received = () => viewer.page.evaluate(async () => {
    const report = await globalThis.sampanPeers.at(-1).getStats();
    return [...report.values()].find((one) => one.type === "inbound-rtp" && one.kind === "video");
  });

  test("with one packet of twenty lost the picture goes on, mended by retransmission", async (t) => {
    await guest.workload("scroll", 20);
    await viewer.reaches((await guest.state()).counter + 5);
    const before = await received();
    network.set({ loss: 0.05 });
    const counters = (await viewer.frames(150)).filter((counter) => counter !== null);
    const { counter } = await guest.state();
    await viewer.reaches(counter);
    const after = await received();
    assert.ok(network.lost > 0, "packets were lost");
    assert.ok(after.nackCount > before.nackCount, "the browser asked again");
    assert.ok(after.retransmittedPacketsReceived > 0, "and was answered");
    assert.ok(counters.length > 100, `only ${counters.length} of 150 frames had a whole counter`);
    for (let i = 1; i < counters.length; i++) assert.ok(counters[i] >= counters[i - 1], "went back");
    t.diagnostic(`${network.lost} of ${network.lost + network.passed} datagrams lost, `
      + `${after.nackCount} NACKs, ${after.retransmittedPacketsReceived} retransmitted, `
      + `${after.freezeCount} freezes of ${after.totalFreezesDuration} s in all`);
    network.set({ loss: 0, down: false });
  });

  test("keys survive the loss in order", async () => {
    network.set({ loss: 0.1 });
    await guest.workload("desk");
    await guest.ask({ cmd: "clear" });
    const text = "the quick brown fox jumps over the lazy dog";
    await viewer.page.keyboard.type(text);
    const from = 0;
    await guest.event((e) => e.key === 34 && e.down === false, "the last key", { from, timeoutMs: 60_000 });
    assert.ok((await guest.state()).text.endsWith(text), (await guest.state()).text);
    network.set({ loss: 0, down: false });
  });

  test("a network that goes away and comes back is connected anew", async () => {
    network.set({ down: true });
    await viewer.page.waitForFunction(() => document.documentElement.dataset.connection !== "connected",
      undefined, { timeout: 120_000 });
    network.set({ loss: 0, down: false });
    await viewer.connected(120_000);
    await guest.workload("scroll", 20);
    await viewer.reaches((await guest.state()).counter + 5);
  });
});
