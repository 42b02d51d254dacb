// The page in Firefox, which is another browser in all that a viewer is made of: ICE, decoders, keys, sound, its own ways with canvas.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { Apart } from "./lib/apart.js";
import { Viewer, launch } from "./lib/browser.js";
import { Library } from "./lib/console.js";
import { FirefoxViewer, launchFirefox } from "./lib/firefox.js";
import { deadline, start, until } from "./lib/processes.js";
import { Sampan, program } from "./lib/sampan.js";
import { shows } from "./lib/truth.js";

/** evdev codes, from linux/input-event-codes.h. */
const EVDEV = { KeyA: 30, ShiftLeft: 42, Tab: 15, F5: 63, Enter: 28 };
const LEFT = 1, RIGHT = 2;

describe("the page in Firefox", () => {
  let sampan, guest, browser, viewer, page;

  before(async () => {
    [sampan, browser] = await Promise.all([Sampan.run(), launchFirefox()]);
    ({ guest } = sampan);
    viewer = await FirefoxViewer.open(browser, sampan.url, { width: 1023, height: 767 });
    ({ page } = viewer);
    await viewer.driving();
  });

  after(async () => {
    await browser?.close();
    await sampan?.stop();
  });

  /** Presses a button of the bar, which may be out of sight. */
  const press = (label) => page.evaluate((name) => {
    document.querySelector(".handle").click();
    [...document.querySelectorAll("button")].find((button) => [button.ariaLabel, button.title, button.textContent.trim()].includes(name)).click();
  }, label);

  test("it connects to this computer, where Firefox uses no loopback address, and hears nobody else there", async () => {
    const { remote, pair } = await page.evaluate(async () => {
      const stats = [...(await globalThis.sampanPeers.at(-1).getStats()).values()];
      const chosen = stats.find(({ type, selected, state, nominated }) =>
        type === "candidate-pair" && (selected || (state === "succeeded" && nominated)));
      return { pair: chosen, remote: stats.find(({ id }) => id === chosen?.remoteCandidateId) };
    });
    assert.ok(pair && remote, "a path");
    assert.ok(remote.address === undefined || !/^(127\.|::1$)/.test(remote.address), JSON.stringify(remote));
    assert.equal((await viewer.marks()).connection, "connected");
  });

  test("the guest takes the size of the window, odd as it is, and its pictures come", async () => {
    await until(async () => {
      const { width, height } = await guest.state();
      return width === 1023 && height === 767;
    }, "the guest to take the window's size");
    await guest.workload("scroll", 15);
    const from = (await guest.state()).counter;
    await viewer.reaches(from + 1);
    const counters = (await viewer.frames(20)).filter((counter) => counter !== null);
    assert.ok(counters.length >= 15, `only ${counters.length} of 20 pictures had a whole counter`);
    for (let i = 1; i < counters.length; i++) assert.ok(counters[i] >= counters[i - 1], `went back: ${counters.join(" ")}`);
    assert.deepEqual((await viewer.sizes()).shown, [1023, 767]);
  });

  test("what rests is seen as it is", async (t) => {
    await guest.workload("idle");
    t.diagnostic(`${(await shows(sampan, viewer, 22)).toFixed(1)} dB`);
  });

  test("keys arrive, those that browsers keep included, and are let go of with the focus", async () => {
    await guest.workload("desk");
    await guest.ask({ cmd: "clear" });
    await page.keyboard.type("sampan, 42 = 7");
    let text;
    await until(async () => {
      ({ text } = await guest.state());
      return text.includes("sampan, 42 = 7");
    }, () => `the text to stand in the guest, not ${JSON.stringify(text)}`);
    for (const code of ["Tab", "F5"]) {
      const from = guest.events.length;
      await page.keyboard.press(code);
      await guest.event((e) => e.key === EVDEV[code] && !e.down, code, { from });
    }
    assert.equal((await viewer.marks()).connection, "connected", "the page was not reloaded");
    const from = guest.events.length;
    await page.keyboard.down("Shift");
    await guest.event((e) => e.key === EVDEV.ShiftLeft && e.down, "Shift to go down", { from });
    await page.evaluate(() => document.activeElement.blur());
    await guest.event((e) => e.key === EVDEV.ShiftLeft && !e.down, "Shift to go up", { from });
    await page.keyboard.up("Shift");
  });

  test("clicks land on the exact pixel, and the wheel turns", async () => {
    const { width, height, area } = await guest.state();
    for (const [x, y] of [[area[0] + 20, area[1] + 10], [511, 400], [width - 1, height - 1]]) {
      const from = guest.events.length;
      const place = await viewer.place(x, y);
      await page.mouse.move(place.x, place.y);
      await page.mouse.down();
      const down = await guest.event((e) => e.buttons === LEFT, `the button at ${x},${y}`, { from });
      assert.deepEqual(down.pointer, [x, y]);
      await page.mouse.up();
      await guest.event((e) => e.pointer && e.buttons === 0, "the button to go up", { from });
    }
    const from = guest.events.length;
    await page.mouse.click(300, 500, { button: "right" });
    await guest.event((e) => e.buttons === RIGHT, "the right button", { from });
    for (const [deltaY, notch] of [[120, -1], [-120, 1]]) {
      const turned = guest.events.length;
      await page.mouse.wheel({ deltaY });
      await guest.event((e) => e.wheel && e.wheel[1] === notch, `a notch ${notch}`, { from: turned });
    }
  });

  test("text of an input method is typed, and nothing of what it composes", async () => {
    await guest.ask({ cmd: "clear" });
    await press("Keyboard of this device: text by its input method");
    assert.equal(await page.evaluate(() => document.activeElement.className), "textinput");
    // As Firefox's own events come: what is composed is in the field already when it ends.
    await page.evaluate(() => {
      const field = document.activeElement;
      const send = (type, data) => field.dispatchEvent(new CompositionEvent(type, { data, bubbles: true }));
      send("compositionstart", "");
      field.value += "shan";
      send("compositionupdate", "shan");
      field.dispatchEvent(new InputEvent("input", { data: "shan", inputType: "insertCompositionText", isComposing: true, bubbles: true }));
      field.value = field.value.slice(0, -4) + "B-s.";
      field.dispatchEvent(new InputEvent("input", { data: "B-s.", inputType: "insertCompositionText", isComposing: true, bubbles: true }));
      send("compositionend", "B-s.");
      field.dispatchEvent(new InputEvent("input", { data: "B-s.", inputType: "insertText", bubbles: true }));
    });
    let text;
    await until(async () => {
      ({ text } = await guest.state());
      return text.endsWith("B-s.");
    }, () => `the guest to have it, not ${JSON.stringify(text)}`);
    assert.equal(text, "B-s.");
    await press("Keyboard of this device: text by its input method");
  });

  test("its size follows the window", async () => {
    const from = guest.events.length;
    await page.setViewport({ width: 1280, height: 720 });
    await guest.event((e) => e.size?.join() === "1280,720", "the new size", { from });
    await until(async () => (await viewer.sizes()).shown.join() === "1280,720", async () => `the page to show it: ${JSON.stringify(await viewer.sizes())}`);
    await viewer.reaches((await guest.state()).counter);
  });

  test("beside Chromium each sees its own codec, and control goes from one to the other", async () => {
    const chromium = await launch();
    try {
      const other = await Viewer.open(chromium, sampan.url, { width: 1000, height: 700 });
      await other.connected();
      await guest.workload("scroll", 15);
      const { counter } = await guest.state();
      await Promise.all([viewer.reaches(counter + 5), other.reaches(counter + 5)]);
      await other.page.getByRole("button", { name: "Take control", exact: true }).click();
      await other.driving();
      await until(async () => (await viewer.marks()).driving === "false", "Firefox to only watch");
      await press("Take control");
      await viewer.driving();
      await guest.workload("desk");
      assert.deepEqual(other.problems, []);
    } finally {
      await chromium.close();
    }
  });

  test("a picture of the screen is saved as it is", async () => {
    const file = join(sampan.dir, "truth.png");
    await guest.workload("idle");
    await sampan.ctl("screenshot", file);
    const [width, height] = [16, 20].map((at) => readFileSync(file).readUInt32BE(at));
    // The download that the page begins, caught on its way.
    const saved = await page.evaluate(() => new Promise((resolve, reject) => {
      const click = HTMLAnchorElement.prototype.click;
      HTMLAnchorElement.prototype.click = function () {
        HTMLAnchorElement.prototype.click = click;
        // An image may be loaded from there; the page's policy lets nothing else.
        const picture = new Image();
        picture.onload = () => resolve([picture.naturalWidth, picture.naturalHeight, this.download]);
        picture.onerror = () => reject(new Error("it is no picture"));
        picture.src = this.href;
      };
      setTimeout(() => reject(new Error("nothing was saved")), 20_000);
      document.querySelector(".handle").click();
      document.querySelector('[aria-controls="menu"]').click();
      [...document.querySelectorAll("button")].find((one) => one.textContent.trim() === "Save picture").click();
    }));
    assert.deepEqual(saved.slice(0, 2), [width, height]);
    assert.match(saved[2], /\.png$/);
  });

  test("a reload comes back, and the end is told", async () => {
    await page.reload();
    await viewer.driving();
    await viewer.reaches((await guest.state()).counter);
    assert.deepEqual(viewer.problems, []);
    await sampan.ctl("quit");
    await until(async () => /Trying again|does not answer|ended/.test(await page.evaluate(() => document.body.innerText)), "the page to say so");
  });
});

describe("Firefox without an address to connect from", () => {
  let sampan, browser, viewer;

  before(async () => {
    [sampan, browser] = await Promise.all([Sampan.run({ guest: false }), launchFirefox({ "media.peerconnection.ice.relay_only": true })]);
    viewer = await FirefoxViewer.open(browser, sampan.url);
  });

  after(async () => {
    await browser?.close();
    await sampan?.stop();
  });

  test("the page says that it is the browser, and what helps", async () => {
    await until(() => viewer.page.evaluate(() => /lets no page connect.*about:config/s.test(document.body.innerText)),
      async () => `the reason, not ${await viewer.page.evaluate(() => document.body.innerText)}`, 60_000);
  });
});

describe("Firefox on another computer", () => {
  const NAME = "shown";
  const START_MS = 180_000;
  const PLAYED_HZ = 440;
  const library = new Library();
  let apart, far, guest;

  before(async () => {
    ({ guest } = await library.startTinyWithPort(NAME));
    apart = await Apart.connect();
    far = await apart.launchFirefox();
  }, { timeout: 300_000 });

  after(async () => {
    await far?.close();
    await apart?.close();
    await library.close();
  });

  const mark = (name) => far.evaluate((key) => document.documentElement.dataset[key], name);

  test("it is paired, sees the picture and drives", async () => {
    await library.sampan("stream", "on", NAME, "--address", apart.here);
    const owner = start(program, ["stream", "pair", NAME, "--drive", "--yes"], { env: { ...process.env, ...library.env } });
    const address = new Promise((resolve) => {
      createInterface({ input: owner.stdout }).on("line", (line) => {
        const found = /^pair: (https\S+)$/.exec(line);
        if (found) resolve(found[1]);
      });
    });
    await far.open(await deadline(address, 60_000, "the code"));
    await until(async () => (await mark("connection")) === "connected",
      async () => `the connection: ${await far.evaluate(() => document.body.innerText)}`, START_MS);
    await until(() => far.evaluate(() => document.querySelector("video").videoWidth > 0), "a picture", START_MS);
    await deadline(owner.exited, 60_000, "pairing to end");
    const [device] = await library.sampan("stream", "devices");
    assert.deepEqual([device.name, device.rights], ["Firefox, Linux", ["watch", "drive"]]);
    await until(async () => (await mark("driving")) === "true", "control", START_MS);
    await far.click(500, 600);
    await guest.ask({ cmd: "clear" });
    await far.type("fox");
    let text;
    await until(async () => {
      ({ text } = await guest.state());
      return text === "fox";
    }, () => `the guest to have it, not ${JSON.stringify(text)}`, START_MS);
  });

  test("a reload needs no code: the device has its key", async () => {
    await far.evaluate(() => location.reload());
    await until(async () => (await mark("connection").catch(() => "")) === "connected", "the connection", START_MS);
    await until(async () => (await mark("driving")) === "true", "control", START_MS);
  });

  test("what the guest plays is heard", async () => {
    // Loads the card's driver, which begins muted.
    await guest.ask({ cmd: "play", hz: 0, ms: 100, level: 0 }, START_MS);
    await far.evaluate(() => {
      document.querySelector(".handle").click();
      [...document.querySelectorAll("button")].find(({ ariaLabel }) => ariaLabel === "Sound").click();
    });
    const played = guest.ask({ cmd: "play", hz: PLAYED_HZ, ms: 20_000, level: 50 }, START_MS);
    // No sound device is needed to record what comes and to decode that.
    let last;
    await until(async () => {
      last = await far.evaluate(async () => {
        const { srcObject } = document.querySelector("audio");
        if (srcObject === null) return { level: 0 };
        const recorder = new MediaRecorder(srcObject);
        const pieces = [];
        recorder.ondataavailable = ({ data }) => pieces.push(data);
        const ended = new Promise((resolve) => (recorder.onstop = resolve));
        recorder.start();
        setTimeout(() => recorder.stop(), 1500);
        await ended;
        const whole = await new Blob(pieces, { type: recorder.mimeType }).arrayBuffer();
        const sound = await new OfflineAudioContext(1, 1, 48_000).decodeAudioData(whole);
        const samples = sound.getChannelData(0).slice(-48_000);
        // The pitch of a single tone: how often it rises through nothing.
        let rises = 0;
        for (let at = 1; at < samples.length; at += 1) if (samples[at - 1] < 0 && samples[at] >= 0) rises += 1;
        return { hz: (rises * sound.sampleRate) / samples.length, level: samples.reduce((most, one) => Math.max(most, Math.abs(one)), 0) };
      });
      return last.level > 0.03 && Math.abs(last.hz - PLAYED_HZ) < 10;
    }, () => `the tone: ${JSON.stringify(last)}`, START_MS);
    await played;
  });

  test("a device that is revoked is told so", async () => {
    const [{ device }] = await library.sampan("stream", "devices");
    await library.sampan("stream", "revoke", device);
    await until(() => far.evaluate(() => /not let in|not paired|revoked|no longer/i.test(document.body.innerText)),
      async () => `the page to say so: ${await far.evaluate(() => document.body.innerText)}`, START_MS);
  });
});
