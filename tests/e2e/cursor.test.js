// The guest's cursor: drawn by the page, never part of the video.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Viewer, launch } from "./lib/browser.js";
import { until } from "./lib/processes.js";
import { Sampan } from "./lib/sampan.js";

/** Where the cross of the guest's cursor points, from its upper left corner (tests/guest/src/cursor.rs). */
const HOT = 15;

describe("cursor", () => {
  let sampan, guest, browser, viewer;

  before(async () => {
    [sampan, browser] = await Promise.all([Sampan.run(), launch()]);
    guest = sampan.guest;
    viewer = await Viewer.open(browser, sampan.url);
    await viewer.connected();
    await until(async () => (await guest.state()).width === 1024, "the guest to take the window's size");
    await viewer.reaches((await guest.state()).counter);
  });

  after(async () => {
    await browser?.close();
    await sampan?.stop();
  });

  test("a pointer moved by somebody else is drawn where the guest has it", async () => {
    for (const [x, y] of [[400, 500], [700, 300]]) {
      await sampan.ctl("pointer", String(x), String(y));
      await guest.event((e) => e.pointer?.join() === `${x},${y}`, `the pointer at ${x},${y}`, { from: 0 });
      const wanted = await viewer.place(x, y);
      let hot;
      await until(async () => {
        hot = await viewer.page.evaluate((offset) => {
          const box = document.querySelector(".cursor canvas")?.getBoundingClientRect();
          return box && { x: box.left + offset + 0.5, y: box.top + offset + 0.5 };
        }, HOT);
        return hot !== undefined && hot.x === wanted.x && hot.y === wanted.y;
      }, () => `the cursor at ${JSON.stringify(wanted)}, not ${JSON.stringify(hot)}`);
    }
  });

  test("the page's own pointer gets the guest's shape, with its hot spot", async () => {
    const place = await viewer.place(300, 400);
    await viewer.page.mouse.move(place.x, place.y);
    await until(() => viewer.page.evaluate(() => document.querySelector(".cursor").hidden), "one cursor only");
    const wanted = new RegExp(`^url\\("data:image/png;base64,[^"]+"\\) ${HOT} ${HOT}, crosshair$`);
    let css;
    await until(async () => {
      css = await viewer.page.evaluate(() => document.querySelector(".surface").style.cursor);
      return wanted.test(css);
    }, () => `the guest's shape, not ${css}`);
  });

  test("the video does not carry it", async () => {
    const [x, y] = [500, 600];
    await guest.ask({ cmd: "clear" });
    await viewer.reaches((await guest.state()).counter);
    await sampan.ctl("pointer", String(x), String(y));
    await guest.event((e) => e.pointer?.join() === `${x},${y}`, "the pointer to arrive", { from: 0 });
    assert.equal((await guest.state()).cursor_plane, true);
    // An arm of the cross, ten pixels above where it points, against plain ground beside it.
    const arm = await viewer.pixel(x, y - 10);
    const ground = await viewer.pixel(x - 60, y - 10);
    assert.ok(arm.every((value, i) => Math.abs(value - ground[i]) < 24), `${arm} against ${ground}`);
  });
});
