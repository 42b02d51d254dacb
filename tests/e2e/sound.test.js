// Sound between a machine and a real browser: a tone that the guest plays is heard on the page, and the page's microphone (Chromium's
// own, which plays a file) is what the guest records.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import net from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Viewer, launch } from "./lib/browser.js";
import { Library } from "./lib/console.js";
import { folder, until } from "./lib/processes.js";
import { tone, writeSamples, writeTone } from "./lib/wave.js";

const NAME = "band";
const PLAYED_HZ = 440;
const SAID_HZ = 700;
/** A guest on a busy machine plays slowly, and stumbles. */
const PATIENCE_MS = 120_000;

describe("sound in a browser", () => {
  const dir = folder("sound");
  const library = new Library();
  let browser, viewer, page, guest, url;

  before(async () => {
    ({ viewer: url, guest } = await library.startTinyWithPort(NAME));
    // Loads the card's driver, which begins muted.
    await guest.ask({ cmd: "play", hz: 0, ms: 100, level: 0 }, PATIENCE_MS);
    const said = join(dir, "said.wav");
    writeTone(said, { hz: SAID_HZ, seconds: 10, level: 0.4 });
    browser = await launch([
      "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", `--use-file-for-fake-audio-capture=${said}`,
    ]);
    viewer = await open({ permissions: ["microphone"] });
    ({ page } = viewer);
    await viewer.driving();
  }, { timeout: 300_000 });

  after(async () => {
    await browser?.close();
    await library.close();
  });

  /** A page that looks at what it plays, and takes the microphone's tone as it is: a filter for noise takes it for noise. */
  function open(options = {}) {
    return Viewer.open(browser, url, {
      ...options,
      prepare: (one) => one.addInitScript(() => {
        const devices = navigator.mediaDevices;
        if (devices === undefined) return;
        const take = devices.getUserMedia.bind(devices);
        devices.getUserMedia = ({ audio }) =>
          take({ audio: { ...audio, echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
      }),
    });
  }

  const status = async () => {
    const { origin, hash } = new URL(url);
    const token = new URLSearchParams(hash.slice(1)).get("token");
    return (await fetch(`${origin}/status`, { headers: { Authorization: `Bearer ${token}` } })).json();
  };

  /** Presses a button of the bar, which may be out of sight. */
  const press = async (one, name) => {
    await one.evaluate(() => document.querySelector(".handle").click());
    await one.getByRole("button", { name, exact: true }).click();
  };

  /** The strongest pitch of what a page plays, and its level: decibels below full scale. */
  const heard = (one) => one.evaluate(async () => {
    const { srcObject } = document.querySelector("audio");
    if (globalThis.sampanHeard?.stream !== srcObject) {
      const context = new AudioContext();
      const analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
      context.createMediaStreamSource(srcObject).connect(analyser);
      await context.resume();
      globalThis.sampanHeard = { stream: srcObject, context, analyser };
    }
    const { context, analyser } = globalThis.sampanHeard;
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    const strongest = bins.reduce((best, level, bin) => (level > bins[best] ? bin : best), 1);
    return { hz: (strongest * context.sampleRate) / analyser.fftSize, level: bins[strongest] };
  });

  const hears = (one, hz, what) => {
    let last;
    return until(async () => {
      last = await heard(one);
      return last.level > -30 && Math.abs(last.hz - hz) < 10;
    }, () => `${what}: ${JSON.stringify(last)}`, PATIENCE_MS);
  };

  const received = (one) => one.evaluate(async () => {
    const report = await globalThis.sampanPeers.at(-1).getStats();
    return [...report.values()].find(({ type, kind }) => type === "inbound-rtp" && kind === "audio") ?? {};
  });

  const says = (words) => until(async () => words.test(await page.textContent(".notice")),
    async () => `${words}, not ${await page.textContent(".notice")}`, PATIENCE_MS);

  test("nobody listens, and a silent machine costs no packet", async () => {
    await until(async () => (await viewer.marks()).sound === "off", "the page to know of the sound card");
    await press(page, "Sound");
    await until(async () => (await status()).viewers[0].hears, "the page to listen");
    assert.equal((await status()).sound_packets, 0);
  });

  test("a tone of the guest's is heard on the page, and not once it is muted", async (t) => {
    const played = guest.ask({ cmd: "play", hz: PLAYED_HZ, ms: 40_000, level: 50 }, 4 * PATIENCE_MS);
    await hears(page, PLAYED_HZ, "the tone");
    const now = await received(page);
    const codec = await page.evaluate(async (id) => (await globalThis.sampanPeers.at(-1).getStats()).get(id), now.codecId);
    assert.equal(codec.mimeType.toLowerCase().replace("red", "opus"), "audio/opus");
    const buffered = (1000 * now.jitterBufferDelay) / now.jitterBufferEmittedCount;
    t.diagnostic(`${codec.mimeType} ${codec.sdpFmtpLine}; ${buffered.toFixed(1)} ms in the browser's buffer, `
      + `${now.concealedSamples} of ${now.totalSamplesReceived} frames concealed, `
      + `${(now.bytesReceived / now.packetsReceived).toFixed(0)} bytes a packet`);

    // Another one hears the same, of the same encoder.
    const other = await open();
    await other.connected();
    await until(async () => (await other.marks()).sound === "off", "the other page to know of it");
    await press(other.page, "Sound");
    await hears(other.page, PLAYED_HZ, "the tone on the other page");
    await other.close();

    await press(page, "Sound");
    await until(async () => (await status()).viewers.every(({ hears: on }) => !on), "the server to know");
    await until(async () => (await heard(page)).level < -80, async () => `silence: ${JSON.stringify(await heard(page))}`, PATIENCE_MS);
    const { sound_packets: packets } = await status();
    await played;
    assert.equal((await status()).sound_packets, packets, "nothing is encoded for nobody");
  });

  test("the volume is this page's, and the machine's sound is stereo", async () => {
    await press(page, "More");
    const slider = page.getByLabel("Volume");
    await slider.fill("50");
    assert.equal(await page.evaluate(() => document.querySelector("audio").volume), 0.125);
    await slider.fill("100");
    await press(page, "More");
    const answer = await page.evaluate(() => globalThis.sampanPeers.at(-1).remoteDescription.sdp);
    assert.match(answer, /^a=fmtp:\d+ .*\bstereo=1\b/m);
  });

  /** Has the menu open. */
  const opened = async (one) => {
    if (await one.locator("#menu").isHidden()) await press(one, "More");
  };
  const choose = async (one, name, role = "button") => {
    await opened(one);
    await one.locator("#menu").getByRole(role, { name, exact: true }).click();
  };

  /** Ends the recording: its name, its picture's size, and the tone in it, as the browser decodes both. */
  const recorded = async (one) => {
    const [download] = await Promise.all([one.waitForEvent("download"), choose(one, "Stop recording")]);
    const bytes = await readFile(await download.path());
    const { picture, samples, channels } = await one.evaluate(async (text) => {
      const file = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      const video = document.createElement("video");
      const url = URL.createObjectURL(new Blob([file], { type: "video/webm" }));
      const size = await new Promise((resolve, reject) => {
        video.onloadeddata = () => resolve([video.videoWidth, video.videoHeight]);
        video.onerror = () => reject(new Error(video.error.message));
        video.src = url;
      });
      URL.revokeObjectURL(url);
      const sound = await new OfflineAudioContext(2, 1, 48000).decodeAudioData(file.buffer);
      const left = Array.from(sound.getChannelData(0), (sample) => Math.round(Math.min(Math.max(sample, -1), 1) * 32767));
      return { picture: size, samples: left, channels: sound.numberOfChannels };
    }, bytes.toString("base64"));
    assert.equal(channels, 2, "the guest's sound is stereo");
    const file = join(dir, "recorded.wav");
    writeSamples(file, samples);
    await one.locator(".recording").waitFor({ state: "hidden" });
    return { name: download.suggestedFilename(), picture, sound: tone(file) };
  };

  const panel = (one) => one.evaluate(() => {
    const [names, values] = ["dt", "dd"].map((tag) => [...document.querySelectorAll(`#stats ${tag}`)].map((node) => node.textContent));
    return Object.fromEntries(names.map((name, n) => [name, values[n]]));
  });

  test("a recording has the guest's sound as loud as the guest plays it, though the page is silent", async (t) => {
    assert.equal((await viewer.marks()).sound, "off");
    await opened(page);
    await page.getByLabel("Volume").fill("20");
    await choose(page, "Record video");
    await until(async () => (await status()).viewers[0].hears, "the sound to be sent");
    await page.locator(".recording").waitFor({ state: "visible" });
    assert.equal((await viewer.marks()).sound, "off", "the page stays silent");
    assert.ok(await page.evaluate(() => document.querySelector("audio").muted));
    const before = (await received(page)).packetsReceived ?? 0;
    const played = guest.ask({ cmd: "play", hz: PLAYED_HZ, ms: 10_000, level: 50 }, 4 * PATIENCE_MS);
    await until(async () => (await received(page)).packetsReceived - before > 400, "four seconds of it to come", PATIENCE_MS);
    const { name, picture, sound } = await recorded(page);
    t.diagnostic(`${sound.hz.toFixed(1)} Hz for ${sound.seconds.toFixed(1)} s, peak ${sound.peak}`);
    assert.match(name, /\.webm$/);
    assert.ok(picture[0] > 300 && picture[1] > 200, `${picture}`);
    assert.ok(Math.abs(sound.hz - PLAYED_HZ) < 10 && sound.seconds > 2, JSON.stringify(sound));
    // The page's own volume would leave a hundredth of it.
    assert.ok(sound.peak > 5_000, `${sound.peak}`);
    await until(async () => !(await status()).viewers[0].hears, "the sound to end with it");
    await played;
    await opened(page);
    await page.getByLabel("Volume").fill("100");
    await press(page, "More");
  });

  test("a recording of a silent guest has the picture and silence, on a page that never heard it", async () => {
    const other = await open();
    await other.connected();
    await until(async () => (await other.marks()).sound === "off", "the page to know of the sound card");
    await choose(other.page, "Record video");
    await other.page.locator(".recording").waitFor({ state: "visible" });
    await guest.workload("scroll", 20);
    await other.frames(20);
    const { picture, sound } = await recorded(other.page);
    await guest.workload("desk");
    assert.ok(picture[0] > 300 && picture[1] > 200, `${picture}`);
    assert.equal(sound.seconds, 0);
    assert.deepEqual(other.problems, []);
    await other.close();
  });

  test("the panel tells how the sound travels", async () => {
    await choose(page, "Statistics", "switch");
    await until(async () => (await panel(page))["Sound"] === "does not come", async () => JSON.stringify(await panel(page)));
    await press(page, "Sound");
    const played = guest.ask({ cmd: "play", hz: PLAYED_HZ, ms: 15_000, level: 50 }, 4 * PATIENCE_MS);
    await until(async () => {
      const rows = await panel(page);
      return /^opus(, red)? [1-9]\d* kb\/s$/.test(rows["Sound"]) && /^\d+\.\d ms$/.test(rows["Sound's jitter buffer"])
        && /^\d+ packets, \d+ ms made up$/.test(rows["Sound lost"]);
    }, async () => JSON.stringify(await panel(page)), PATIENCE_MS);
    await played;
    await press(page, "Sound");
    await until(async () => (await panel(page))["Sound"] === "does not come", async () => JSON.stringify(await panel(page)), PATIENCE_MS);
    await choose(page, "Statistics", "switch");
    await press(page, "More");
  });

  test("on a narrow screen every button is in sight", async () => {
    await page.setViewportSize({ width: 360, height: 640 });
    await page.evaluate(() => document.querySelector(".handle").click());
    const beyond = await page.evaluate(() => [...document.querySelectorAll(".bar button")]
      .filter((node) => node.offsetParent !== null)
      .map((node) => ({ name: node.title, box: node.getBoundingClientRect() }))
      .filter(({ box }) => box.left < 0 || box.right > innerWidth || box.width < 24)
      .map(({ name }) => name));
    assert.deepEqual(beyond, []);
    await page.setViewportSize({ width: 1024, height: 768 });
  });

  test("the guest hears the page's microphone once its owner allows it", async (t) => {
    const record = async () => (await guest.ask({ cmd: "record", ms: 1000 }, PATIENCE_MS)).heard;
    assert.equal((await record()).peak, 0);
    await press(page, "Microphone");
    await says(/set to hear no microphone/);
    assert.equal((await viewer.marks()).microphone, "off");
    await library.sampan("sound", NAME, "--microphone", "on");
    // The page is told in a moment.
    await until(async () => {
      if ((await viewer.marks()).microphone !== "on") await press(page, "Microphone");
      return (await viewer.marks()).microphone === "on";
    }, "the microphone to be on", PATIENCE_MS);
    let last;
    await until(async () => {
      last = await record();
      return Math.abs(last.hz - SAID_HZ) < 15 && last.peak > 5_000 && last.sound > 800;
    }, () => `the guest to record it: ${JSON.stringify(last)}`, PATIENCE_MS);
    assert.equal((await status()).viewers[0].speaks, true);
    const sent = await page.evaluate(async () => {
      const report = await globalThis.sampanPeers.at(-1).getStats();
      const one = [...report.values()].find(({ type, kind }) => type === "outbound-rtp" && kind === "audio");
      return { ...one, codec: report.get(one.codecId).mimeType };
    });
    t.diagnostic(`the microphone goes as ${sent.codec}, ${(sent.bytesSent / sent.packetsSent).toFixed(0)} bytes a packet`);

    await press(page, "Microphone");
    await until(async () => (await viewer.marks()).microphone === "off", "the microphone to be off");
    await until(async () => (await record()).peak === 0, "silence", PATIENCE_MS);
    assert.equal((await status()).viewers[0].speaks, false);
  });

  test("who watches is not heard, and whoever loses control is not any more", async () => {
    await press(page, "Microphone");
    await until(async () => (await viewer.marks()).microphone === "on", "the microphone to be on", PATIENCE_MS);
    const other = await open({ permissions: ["microphone"] });
    await other.connected();
    await until(async () => (await other.marks()).driving === "false", "the other page to watch");
    assert.ok(await other.page.getByRole("button", { name: "Microphone", exact: true }).isHidden());
    await other.page.getByRole("button", { name: "Take control" }).click();
    await other.driving();
    await until(async () => (await viewer.marks()).microphone === "off", "the page's microphone to go off");
    await says(/whoever drives/);
    await other.close();
    await viewer.driving();
    assert.deepEqual(viewer.problems, []);
  });
});
