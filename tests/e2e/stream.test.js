// One guest of each architecture, seen and driven through a real browser.
//
// SAMPAN_E2E_ARCH names the architectures, both by default.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Viewer, launch } from "./lib/browser.js";
import { Sampan } from "./lib/sampan.js";
import { sleep, until } from "./lib/processes.js";

const architectures = (process.env.SAMPAN_E2E_ARCH || "x86_64,aarch64").split(",");

/** evdev codes of DOM keys, from linux/input-event-codes.h. */
const EVDEV = { KeyA: 30, Digit7: 8, Enter: 28, ShiftLeft: 42, Tab: 15, F5: 63, ControlLeft: 29 };
const LEFT = 1, RIGHT = 2;

for (const arch of architectures) {
  describe(`${arch} guest in a browser`, () => {
    let sampan, guest, browser, viewer;

    before(async () => {
      [sampan, browser] = await Promise.all([Sampan.run({ arch }), launch()]);
      guest = sampan.guest;
      viewer = await Viewer.open(browser, sampan.url);
      await viewer.driving();
    });

    after(async () => {
      await browser?.close();
      await sampan?.stop();
    });

    test("the guest takes the size of the window", async () => {
      await until(async () => {
        const { width, height } = await guest.state();
        return width === 1024 && height === 768;
      }, "the guest's screen to be 1024 × 768");
      await until(async () => (await viewer.sizes()).shown.join() === "1024,768", "the page to show it");
    });

    test("frames decoded by the browser carry rising counters", async () => {
      await guest.workload("scroll", 20);
      const start = (await guest.state()).counter;
      await viewer.reaches(start + 1);
      const counters = (await viewer.frames(30)).filter((counter) => counter !== null);
      assert.ok(counters.length >= 25, `only ${counters.length} of 30 frames had a whole counter`);
      for (let i = 1; i < counters.length; i++) {
        assert.ok(counters[i] >= counters[i - 1], `went back: ${counters.join(" ")}`);
      }
      assert.ok(new Set(counters).size >= 20, `too few distinct: ${counters.join(" ")}`);
      await guest.workload("desk");
    });

    test("a key typed in the page shows up in the guest and in the picture", async () => {
      const from = guest.events.length;
      await viewer.page.keyboard.press("KeyA");
      const key = (down) => (e) => e.key === EVDEV.KeyA && e.down === down;
      await guest.event(key(true), "the key to go down", { from });
      await guest.event(key(false), "the key to go up", { from });
      const painted = await guest.event((e) => e.paint !== undefined && e.cause === EVDEV.KeyA,
        "the glyph to be painted", { from });
      await viewer.reaches(painted.paint);
    });

    test("a typed text arrives in order, keys that browsers keep included", async () => {
      await guest.ask({ cmd: "clear" });
      // Each key by its place: the browser's driver does not hold Shift for capitals.
      await viewer.page.keyboard.type("sampan, 42 = 7");
      await viewer.page.keyboard.press("Shift+KeyZ");
      let text;
      await until(async () => {
        ({ text } = await guest.state());
        return text.includes("sampan, 42 = 7Z");
      }, () => `the text to stand in the guest, not ${JSON.stringify(text)}`);
      for (const code of ["Tab", "F5"]) {
        const from = guest.events.length;
        await viewer.page.keyboard.press(code);
        await guest.event((e) => e.key === EVDEV[code] && !e.down, code, { from });
      }
      assert.equal((await viewer.marks()).connection, "connected", "the page was not reloaded");
    });

    test("keys are let go of when the screen loses the focus", async () => {
      const from = guest.events.length;
      await viewer.page.keyboard.down("Shift");
      await guest.event((e) => e.key === EVDEV.ShiftLeft && e.down, "Shift to go down", { from });
      await viewer.page.evaluate(() => document.activeElement.blur());
      await guest.event((e) => e.key === EVDEV.ShiftLeft && !e.down, "Shift to go up", { from });
      let held;
      await until(async () => {
        ({ held } = await guest.state());
        return held.length === 0;
      }, () => `no key to be held, not ${held}`);
      await viewer.page.keyboard.up("Shift");
    });

    test("a click lands on the exact pixel", async () => {
      const { width, height, area } = await guest.state();
      const inner = [area[0] + 20, area[1] + 10];
      const pixels = [inner, [inner[0] + 1, inner[1] + 1], [511, 400], [width - 1, height - 1]];
      for (const [x, y] of pixels) {
        const from = guest.events.length;
        const place = await viewer.place(x, y);
        await viewer.page.mouse.move(place.x, place.y);
        await viewer.page.mouse.down();
        const down = await guest.event((e) => e.buttons === LEFT, `the button at ${x},${y}`, { from });
        assert.deepEqual(down.pointer, [x, y]);
        await viewer.page.mouse.up();
        await guest.event((e) => e.pointer && e.buttons === 0, "the button to go up", { from });
        assert.deepEqual((await guest.state()).pointer, [x, y]);
      }
      const from = guest.events.length;
      await viewer.page.mouse.click(300, 500, { button: "right" });
      await guest.event((e) => e.buttons === RIGHT, "the right button", { from });
    });

    test("the wheel turns in the guest, up and down", async () => {
      const place = await viewer.place(300, 400);
      await viewer.page.mouse.move(place.x, place.y);
      for (const [delta, notch] of [[120, -1], [-120, 1]]) {
        const from = guest.events.length;
        await viewer.page.mouse.wheel(0, delta);
        await guest.event((e) => e.wheel && e.wheel[1] === notch, `a notch ${notch}`, { from });
      }
    });

    test("a drag draws where it went", async () => {
      await guest.ask({ cmd: "clear" });
      const { area } = await guest.state();
      const [left, top] = [area[0] + 40, area[1] + 40];
      const at = [left + 60, top + 30];
      const before = await viewer.pixel(...at);
      const start = await viewer.place(left, top + 30);
      const end = await viewer.place(left + 120, top + 30);
      await viewer.page.mouse.move(start.x, start.y);
      await viewer.page.mouse.down();
      await viewer.page.mouse.move(end.x, end.y, { steps: 60 });
      await viewer.page.mouse.up();
      // Away, so that no cursor stands on the line.
      const away = await viewer.place(left, top + 200);
      await viewer.page.mouse.move(away.x, away.y);
      await until(async () => {
        const now = await viewer.pixel(...at);
        return now.some((value, i) => Math.abs(value - before[i]) > 60);
      }, `the line at ${at} to be seen in the browser`);
    });

    test("the guest's resolution follows the window, odd sizes too", async () => {
      for (const [width, height] of [[1280, 720], [1001, 701], [640, 480], [1024, 768]]) {
        const from = guest.events.length;
        await viewer.page.setViewportSize({ width, height });
        await guest.event((e) => e.size?.join() === `${width},${height}`, `size ${width} × ${height}`,
          { from });
        await until(async () => {
          const { video, shown } = await viewer.sizes();
          const padded = video[0] - width < 16 && video[1] - height < 16;
          return shown.join() === `${width},${height}` && video[0] >= width && video[1] >= height && padded;
        }, async () => `the page to show ${width} × ${height}: ${JSON.stringify(await viewer.sizes())}`);
        await viewer.reaches((await guest.state()).counter);
      }
    });

    test("a second viewer of an idle guest gets the picture at once", async () => {
      await guest.workload("idle");
      const { counter } = await guest.state();
      await viewer.reaches(counter);
      const second = await Viewer.open(browser, sampan.url);
      try {
        await second.reaches(counter);
        assert.equal((await guest.state()).counter, counter, "the guest painted nothing for it");
        assert.equal(await viewer.counter(), counter, "the first viewer's picture stands");
      } finally {
        await second.close();
      }
    });

    test("a reload comes back without the key in the address", async () => {
      assert.ok(!viewer.page.url().includes("token"));
      await viewer.page.reload();
      await viewer.driving();
      await viewer.reaches((await guest.state()).counter);
      const from = guest.events.length;
      await viewer.page.keyboard.press("Digit7");
      await guest.event((e) => e.key === EVDEV.Digit7 && e.down, "a key after the reload", { from });
    });

    test("pausing and resuming is told in the page and stops the picture", async () => {
      await guest.workload("scroll", 20);
      await viewer.reaches((await guest.state()).counter + 5);
      await sampan.ctl("pause");
      await until(async () => (await viewer.marks()).guest === "paused", "the page to say paused");
      await until(async () => {
        const first = await viewer.counter();
        await sleep(500);
        return first !== undefined && first === (await viewer.counter());
      }, "the picture to stand still");
      await sampan.ctl("resume");
      await until(async () => (await viewer.marks()).guest === "running", "the page to say running");
      await viewer.reaches((await guest.state()).counter + 5);
      await guest.workload("desk");
    });

    test("the page raised no error of its own", () => {
      assert.deepEqual(viewer.problems, []);
    });
  });
}
