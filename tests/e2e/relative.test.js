// A machine without a tablet: the page captures the pointer and sends movements.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Viewer, launch } from "./lib/browser.js";
import { until } from "./lib/processes.js";
import { Sampan } from "./lib/sampan.js";

for (const arch of ["x86_64", "aarch64"]) {
  describe(`a mouse that knows only movements, on ${arch}`, () => {
    let sampan, guest, browser, viewer;

    before(async () => {
      [sampan, browser] = await Promise.all([
        Sampan.run({ arch, flags: ["--pointer", "mouse"] }),
        launch(),
      ]);
      guest = sampan.guest;
      viewer = await Viewer.open(browser, sampan.url);
      await viewer.connected();
      await until(async () => (await guest.state()).width === 1024, "the guest to take the window's size");
      assert.equal((await sampan.ctl("status", "--json")).absolute_pointer, false);
    });

    after(async () => {
      await browser?.close();
      await sampan?.stop();
    });

    const locked = () => viewer.page.evaluate(() => document.pointerLockElement !== null);

    test("a click captures the pointer, its movements and buttons reach the guest, Escape gives it back", async () => {
      const { page } = viewer;
      const place = await viewer.place(512, 384);
      await page.mouse.move(place.x, place.y);
      assert.equal(await locked(), false);
      await page.mouse.click(place.x, place.y);
      await until(locked, "the pointer to be captured");
      const before = (await guest.state()).pointer;
      const from = guest.events.length;
      for (let step = 1; step <= 20; step++) await page.mouse.move(place.x + 5 * step, place.y + 2 * step);
      const moved = await guest.event(
        (e) => e.pointer && e.pointer[0] > before[0] + 40 && e.pointer[1] > before[1] + 10, "the pointer to move", { from });
      assert.ok(moved.pointer[0] - before[0] <= 200 && moved.pointer[1] - before[1] <= 80, `at ${moved.pointer}`);
      await page.mouse.down();
      await guest.event((e) => e.buttons === 1, "the button", { from });
      await page.mouse.up();
      await guest.event((e) => e.buttons === 0, "the button's release", { from });
      await page.evaluate(() => document.exitPointerLock());
      await until(async () => !(await locked()), "the pointer to be free");
      const still = (await guest.state()).pointer;
      await page.mouse.move(place.x - 200, place.y - 200);
      assert.deepEqual((await guest.state()).pointer, still, "a free pointer moves nothing");
      assert.deepEqual(viewer.problems, []);
    });
  });
}
