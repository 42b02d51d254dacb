// What strains a layout: many machines, long names, names from right to left, the largest type. Nothing may leave the window.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { join } from "node:path";
import { folder, modulePath, native, qemu } from "../../napi/lib/module.js";
import { smallest } from "../../napi/lib/machines.js";
import { serve } from "../bridge/server.js";
import { launch, open } from "../lib/harness/chromium.js";
import { site } from "../lib/site.js";

const LONG = "An exceptionally long name of a machine that nobody would choose but somebody will, all the same, one day";
const ARABIC = "جهاز افتراضي للتجارب اليومية";
const SIZES = { phone: [360, 780], tablet: [834, 1112], pc: [1280, 800] };
let browser;
let server;
const ids = [];

before(async () => {
  const home = join(folder(), "library");
  await native.host.init(home, qemu);
  for (const name of [LONG.slice(0, 100), ARABIC]) ids.push((await native.machines.create(smallest(name), []).run()).id);
  for (let i = 0; i < 28; i++) await native.machines.create(smallest(`machine ${i}`), []).run();
  server = await serve({ native, modulePath, libraries: qemu, home, pages: await site(), config: {} });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
});

/** What sticks out of the window to the left or to the right, by its text; what is scrolled sideways on purpose may. */
const outside = (page) => page.evaluate(() => {
  const inStrip = (el) => {
    for (let at = el.parentElement; at; at = at.parentElement) {
      if (/auto|scroll|hidden/.test(getComputedStyle(at).overflowX)) return true;
    }
    return false;
  };
  return [...document.body.querySelectorAll("*")]
    .filter((el) => {
      const box = el.getBoundingClientRect();
      return box.width > 0 && box.height > 0 && (box.right > innerWidth + 1 || box.left < -1) && !inStrip(el);
    })
    .map((el) => `${el.className} ${el.id} ${el.textContent.trim().slice(0, 40)}`);
});

for (const [width, [w, h]] of Object.entries(SIZES)) {
  for (const fontScale of [1, 2]) {
    test(`thirty machines with such names on a ${width}, type × ${fontScale}`, async () => {
      const query = { language: "base", fontScale, device: width === "pc" ? "2in1" : width };
      const { page, problems, close } = await open(browser, server.url, { width: w, height: h, query });
      await page.locator(`#machine_${ids[0]}`).first().waitFor();
      assert.deepEqual(await outside(page), []);
      const row = page.locator(`#machine_${ids[0]}`).first();
      await row.scrollIntoViewIfNeeded();
      const box = await row.boundingBox();
      await row.click({ position: { x: box.width * 0.5, y: box.height / 2 } });
      await page.locator("#machine_primary:visible").first().waitFor();
      assert.deepEqual(await outside(page), []);
      assert.deepEqual(problems, []);
      await close();
    });
  }
}

test("Tab goes through the list and a machine's page in the order in which they are read, and each stop has a name", async () => {
  const { page, problems, close } = await open(browser, server.url, { width: 1280, height: 800, hasTouch: false, query: { language: "base", device: "2in1" } });
  await page.locator(`#machine_${ids[0]}`).first().waitFor();
  /** Where the focus is: its element, its place, and what a screen reader says. */
  const here = () => page.evaluate(() => {
    const el = document.activeElement;
    if (!el || el === document.body) return undefined;
    const { x, y, width, height } = el.getBoundingClientRect();
    const name = el.getAttribute("aria-label") || el.textContent.trim() || el.getAttribute("placeholder") || "";
    return { id: el.id || el.className, x, y, width, height, name, seen: width > 0 && height > 0 && x >= 0 && x < innerWidth };
  });
  const order = async (most) => {
    const stops = [];
    for (let n = 0; n < most; n++) {
      await page.keyboard.press("Tab");
      const stop = await here();
      if (!stop || stops.some(({ id, x, y }) => stop.id !== "" && id === stop.id && x === stop.x && y === stop.y)) break;
      stops.push(stop);
    }
    return stops;
  };
  const stops = await order(60);
  assert.ok(stops.length > 10, `${stops.length} stops`);
  assert.deepEqual(stops.filter(({ name, seen }) => !seen || name === "").map((stop) => JSON.stringify(stop)), [], "each is seen and has a name");
  const rows = stops.filter(({ id }) => id.startsWith("machine_"));
  assert.ok(rows.length >= 3, "the rows are among them");
  // Scrolling follows the focus, so it is the list's order that counts.
  const listed = await page.evaluate(() => [...document.querySelectorAll("[id^=machine_]")].map(({ id }) => id).filter((id) => /^machine_[0-9a-f-]{36}$/.test(id)));
  const visited = rows.map(({ id }) => id).filter((id) => listed.includes(id));
  assert.deepEqual(visited, listed.filter((id) => visited.includes(id)), "from the top to the bottom");
  assert.deepEqual(problems, []);
  await close();
});
