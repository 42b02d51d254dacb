// A machine with two displays, each in a window of its own.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Viewer, launch } from "./lib/browser.js";
import { program, Sampan } from "./lib/sampan.js";
import { run, sleep, until } from "./lib/processes.js";

/** The tiny guest's paper, on the first and the second display. */
const PAPERS = [[0x18, 0x24, 0x30], [0x30, 0x18, 0x24]];
const RED = [0xff, 0x20, 0x20];
const near = (pixel, colour, by = 24) => pixel.every((part, i) => Math.abs(part - colour[i]) <= by);

describe("several displays", () => {
  let sampan, guest, browser, first, second;

  before(async () => {
    [sampan, browser] = await Promise.all([Sampan.run({ flags: ["--displays", "2"] }), launch()]);
    guest = sampan.guest;
    first = await Viewer.open(browser, sampan.url);
    await first.driving();
    await until(async () => (await guest.state()).width === 1024, "the guest to take the window's size");
    await first.reaches((await guest.state()).counter);
  });

  after(async () => {
    await browser?.close();
    await sampan?.stop();
  });

  const press = async (page, name) => {
    // The bar may be away.
    await page.evaluate(() => document.querySelector(".handle").click());
    await page.getByRole("button", { name, exact: true }).click();
  };
  const displays = async () => (await sampan.ctl("status", "--json")).displays;
  const colour = (viewer, x, y, wanted) => {
    let seen;
    return until(async () => near((seen = await viewer.pixel(x, y)), wanted), () => `${wanted} at ${x},${y}, not ${seen}`);
  };

  test("the second is dark until it is opened in another window, which drives as well", async () => {
    assert.deepEqual(await displays(), [[1024, 768], null]);
    assert.match(await sampan.ctl("status"), /displays 1: 1024 × 768, 2: dark/);
    const from = guest.events.length;
    await press(first.page, "More");
    const [page] = await Promise.all([
      first.page.context().waitForEvent("page"),
      press(first.page, "Open Display 2 in another window"),
    ]);
    await page.setViewportSize({ width: 800, height: 600 });
    second = new Viewer(page);
    await second.driving();
    await guest.event((e) => e.displays?.length === 2 && e.displays[1][0] === 800, "the second display", { from });
    await until(async () => (await displays())[1]?.[0] === 800, "its picture");
    assert.equal((await second.marks()).display, "2");
    assert.equal(new URL(page.url()).search, "?display=2");
    await until(async () => (await second.sizes()).shown[0] === 800, "the page to show it");
    assert.equal((await first.marks()).driving, "true", "both windows drive");
  });

  test("each window shows its own display", async () => {
    await colour(first, 400, 400, PAPERS[0]);
    await colour(second, 400, 400, PAPERS[1]);
    const shot = async (display) => {
      const file = join(sampan.dir, `${display}.png`);
      const { code, stdout, stderr } = await run(program, ["ctl", sampan.control, "--json", "screenshot", file, "--display", display]);
      assert.equal(code, 0, stderr);
      assert.equal(readFileSync(file).subarray(1, 4).toString(), "PNG");
      const { width, height } = JSON.parse(stdout);
      return [width, height];
    };
    assert.deepEqual([await shot("1"), await shot("2")], [[1024, 768], [800, 600]]);
    const { code, stderr } = await run(program, ["ctl", sampan.control, "screenshot", join(sampan.dir, "3.png"), "--display", "3"]);
    assert.notEqual(code, 0);
    assert.match(stderr, /no display 3/);
  });

  test("a pointer on the second lands on the second, and one on the first on the first", async () => {
    const draw = async (viewer, x, y, at) => {
      const from = guest.events.length;
      const place = await viewer.place(x, y);
      await viewer.page.bringToFront();
      await viewer.page.mouse.move(place.x, place.y);
      await viewer.page.mouse.down();
      const pressed = await guest.event((e) => e.pointer && e.buttons === 1, "the button", { from });
      const released = guest.event((e) => e.pointer && e.buttons === 0, "its release");
      await viewer.page.mouse.up();
      await released;
      assert.deepEqual(pressed.pointer, at);
    };
    await draw(second, 500, 300, [1524, 300]);
    await colour(second, 500, 300, RED);
    assert.ok(near(await first.pixel(500, 300), PAPERS[0]), "nothing of it is on the first");
    await draw(first, 600, 500, [600, 500]);
    await colour(first, 600, 500, RED);
    assert.ok(near(await second.pixel(600, 500), PAPERS[1]), "nothing of it is on the second");
  });

  test("a window that the pointer has left does not call it back", async () => {
    // A page repeats its pointer's position 100 ms after it came to rest.
    const from = guest.events.length;
    const places = await Promise.all([second.place(300, 200), first.place(200, 300)]);
    await Promise.all([second, first].map(async ({ page }, i) => {
      await sleep(i * 50);
      await page.mouse.move(places[i].x, places[i].y);
    }));
    const arrived = await guest.event((e) => e.pointer?.[0] === 200, "the pointer on the first", { from });
    await sleep(300);
    const later = guest.events.slice(guest.events.indexOf(arrived) + 1).filter((e) => e.pointer);
    assert.deepEqual(later.map((e) => e.pointer), []);
  });

  test("keys of either window reach the guest, and each has its own size", async () => {
    for (const [viewer, key, typed] of [[second, "b", "b"], [first, "a", "ba"]]) {
      await viewer.page.bringToFront();
      await viewer.page.locator(".surface").focus();
      await viewer.page.keyboard.press(key);
      await until(async () => (await guest.state()).text === typed, `${typed} to be typed`);
    }
    const from = guest.events.length;
    await second.page.setViewportSize({ width: 640, height: 480 });
    await guest.event((e) => e.displays?.[1]?.[0] === 640, "the second display's new size", { from });
    assert.deepEqual((await guest.state()).width, 1024, "the first keeps its own");
  });

  test("a page turns to another display and back", async () => {
    const { page } = first;
    await page.bringToFront();
    const choose = async (display) => {
      if (await page.locator("#menu").isHidden()) await press(page, "More");
      await press(page, `Display ${display}`);
      await until(async () => (await first.marks()).display === String(display), "the page to say so");
    };
    await choose(2);
    await colour(first, 100, 400, PAPERS[1]);
    assert.equal(new URL(page.url()).search, "?display=2");
    await choose(1);
    await colour(first, 400, 400, PAPERS[0]);
    assert.equal(new URL(page.url()).search, "");
    const counter = (await guest.state()).counter;
    await first.reaches(counter);
  });

  test("when its last window is closed, the second is disconnected", async () => {
    const from = guest.events.length;
    await second.page.close();
    await guest.event((e) => e.displays?.length === 1, "the guest to have one display", { from });
    await until(async () => (await displays())[1] === null, "it to be dark");
    assert.equal((await first.marks()).driving, "true");
    assert.deepEqual([...first.problems, ...second.problems], []);
  });
});
