// A browser without H.264 gets VP8.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Viewer, launch } from "./lib/browser.js";
import { until } from "./lib/processes.js";
import { Sampan } from "./lib/sampan.js";

/** Runs in the page, before its own code: what this browser offers is all but H.264. */
function withoutH264() {
  const add = RTCPeerConnection.prototype.addTransceiver;
  RTCPeerConnection.prototype.addTransceiver = function (...args) {
    const transceiver = add.apply(this, args);
    const { codecs } = RTCRtpReceiver.getCapabilities("video");
    transceiver.setCodecPreferences(codecs.filter(({ mimeType }) => !/h264/i.test(mimeType)));
    return transceiver;
  };
}

/** Runs in the page: the codec of what is decoded now. */
async function codec() {
  for (const peer of globalThis.sampanPeers) {
    const stats = [...(await peer.getStats()).values()];
    const video = stats.find(({ type, kind }) => type === "inbound-rtp" && kind === "video");
    const found = stats.find(({ id }) => video?.codecId !== undefined && id === video.codecId);
    if (found) return found.mimeType;
  }
  return undefined;
}

test("a browser without H.264 sees the guest by VP8, at odd sizes too, beside one with H.264", async () => {
  const [sampan, browser] = await Promise.all([Sampan.run(), launch()]);
  try {
    const { guest } = sampan;
    const prepare = (page) => page.addInitScript(withoutH264);
    const viewer = await Viewer.open(browser, sampan.url, { width: 1023, height: 767, prepare });
    await viewer.connected();
    await until(async () => (await guest.state()).width >= 1022, "the guest to take the window's size");
    await guest.workload("scroll", 15);
    await viewer.reaches((await guest.state()).counter + 10);
    assert.equal(await viewer.page.evaluate(codec), "video/VP8");
    const { width, height } = await guest.state();
    assert.deepEqual((await viewer.sizes()).shown, [width, height]);

    const other = await Viewer.open(browser, sampan.url, { width: 1023, height: 767 });
    await other.connected();
    await Promise.all([viewer, other].map(async (v) => v.reaches((await guest.state()).counter + 10)));
    assert.equal(await other.page.evaluate(codec), "video/H264");
    assert.deepEqual([...viewer.problems, ...other.problems], []);
  } finally {
    await browser.close();
    await sampan.stop();
  }
});
