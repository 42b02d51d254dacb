// What a browser offers decides how it is shown the guest: H.264 with a colour for every pixel, H.264, or VP8.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Viewer, launch } from "./lib/browser.js";
import { until } from "./lib/processes.js";
import { Sampan } from "./lib/sampan.js";
import { shows } from "./lib/truth.js";

/** Runs in the page, before its own code: what this browser offers is all but the formats that match. */
function without(source) {
  const pattern = new RegExp(source, "i");
  const add = RTCPeerConnection.prototype.addTransceiver;
  RTCPeerConnection.prototype.addTransceiver = function (...args) {
    const transceiver = add.apply(this, args);
    if (args[0] !== "video") return transceiver;
    const { codecs } = RTCRtpReceiver.getCapabilities("video");
    transceiver.setCodecPreferences(codecs.filter((one) => !pattern.test(`${one.mimeType} ${one.sdpFmtpLine}`)));
    return transceiver;
  };
}

const offering = (source) => (page) => page.addInitScript(without, source);
const withoutH264 = offering("h264");
const without444 = offering("profile-level-id=f4");

/** Runs in the page: the codec of what is decoded now, and its parameters. */
async function codec() {
  for (const peer of globalThis.sampanPeers) {
    const stats = [...(await peer.getStats()).values()];
    const video = stats.find(({ type, kind }) => type === "inbound-rtp" && kind === "video");
    const found = stats.find(({ id }) => video?.codecId !== undefined && id === video.codecId);
    if (found) return { type: found.mimeType, profile: /profile-level-id=(\w+)/.exec(found.sdpFmtpLine ?? "")?.[1] };
  }
  return undefined;
}

test("text at rest is as it was where the browser takes 4:4:4, and readable where it does not", async (t) => {
  const [sampan, browser] = await Promise.all([Sampan.run(), launch()]);
  try {
    const { guest } = sampan;
    const size = { width: 1023, height: 767 };
    const full = await Viewer.open(browser, sampan.url, size);
    await full.connected();
    await until(async () => (await guest.state()).width >= 1022, "the guest to take the window's size");
    const half = await Viewer.open(browser, sampan.url, { ...size, prepare: without444 });
    await half.connected();
    await guest.workload("scroll", 15);
    await Promise.all([full, half].map(async (v) => v.reaches((await guest.state()).counter + 10)));
    assert.deepEqual(await full.page.evaluate(codec).then(({ type, profile }) => [type, profile.slice(0, 2)]), ["video/H264", "f4"]);
    assert.deepEqual(await half.page.evaluate(codec).then(({ type, profile }) => [type, profile.slice(0, 2)]), ["video/H264", "42"]);
    await guest.workload("idle");
    const [sharp, soft] = [await shows(sampan, full, 45), await shows(sampan, half, 20)];
    t.diagnostic(`4:4:4 ${sharp.toFixed(1)} dB, 4:2:0 ${soft.toFixed(1)} dB`);
    // Who comes now sees the same.
    const late = await Viewer.open(browser, sampan.url, size);
    await late.connected();
    await shows(sampan, late, 45);
    await shows(sampan, full, 45);
    assert.deepEqual([full, half, late].flatMap(({ problems }) => problems), []);
  } finally {
    await browser.close();
    await sampan.stop();
  }
});

test("a browser without H.264 sees the guest by VP8, at odd sizes too, beside one with H.264", async () => {
  const [sampan, browser] = await Promise.all([Sampan.run(), launch()]);
  try {
    const { guest } = sampan;
    const viewer = await Viewer.open(browser, sampan.url, { width: 1023, height: 767, prepare: withoutH264 });
    await viewer.connected();
    await until(async () => (await guest.state()).width >= 1022, "the guest to take the window's size");
    await guest.workload("scroll", 15);
    await viewer.reaches((await guest.state()).counter + 10);
    assert.equal((await viewer.page.evaluate(codec)).type, "video/VP8");
    const { width, height } = await guest.state();
    assert.deepEqual((await viewer.sizes()).shown, [width, height]);

    const other = await Viewer.open(browser, sampan.url, { width: 1023, height: 767 });
    await other.connected();
    await Promise.all([viewer, other].map(async (v) => v.reaches((await guest.state()).counter + 10)));
    assert.equal((await other.page.evaluate(codec)).type, "video/H264");
    assert.deepEqual([...viewer.problems, ...other.problems], []);
  } finally {
    await browser.close();
    await sampan.stop();
  }
});
