// Fingers on the page are fingers in the guest.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Viewer, launch } from "./lib/browser.js";
import { until } from "./lib/processes.js";
import { Sampan } from "./lib/sampan.js";

describe("touch", () => {
  let sampan, guest, browser, viewer;

  before(async () => {
    [sampan, browser] = await Promise.all([
      Sampan.run({ qemu: ["-device", "virtio-multitouch-pci"] }),
      launch(),
    ]);
    guest = sampan.guest;
    viewer = await Viewer.open(browser, sampan.url, { hasTouch: true });
    await viewer.connected();
    await until(async () => (await guest.state()).width === 1024, "the guest to take the window's size");
    await viewer.reaches((await guest.state()).counter);
  });

  after(async () => {
    await browser?.close();
    await sampan?.stop();
  });

  test("a tap touches the pixel and leaves it", async () => {
    const [x, y] = [321, 456];
    const from = guest.events.length;
    const place = await viewer.place(x, y);
    await viewer.page.touchscreen.tap(place.x, place.y);
    const down = await guest.event((e) => e.touch === 0 && e.down, "the finger to come down", { from });
    // A touch screen is as coarse as its axis: 0x7fff steps.
    assert.ok(Math.abs(down.at[0] - x) <= 1 && Math.abs(down.at[1] - y) <= 1, `at ${down.at}`);
    await guest.event((e) => e.touch === 0 && !e.down, "the finger to go up", { from });
  });

  test("two fingers move apart, each on its own way, and end where they were lifted", async () => {
    const tools = await viewer.page.context().newCDPSession(viewer.page);
    const at = async (x, y, id) => ({ ...(await viewer.place(x, y)), id });
    const touch = (type, ...touchPoints) => tools.send("Input.dispatchTouchEvent", { type, touchPoints });
    const from = guest.events.length;
    await touch("touchStart", await at(400, 300, 0), await at(600, 300, 1));
    for (let step = 1; step <= 10; step++) {
      await touch("touchMove", await at(400 - 10 * step, 300, 0), await at(600 + 10 * step, 300, 1));
    }
    await touch("touchEnd");
    for (const [slot, x] of [[0, 300], [1, 700]]) {
      const fits = (e) => e.touch === slot && !e.down;
      await guest.event(fits, `finger ${slot} to go up`, { from });
      const places = guest.events.slice(from).filter((e) => e.touch === slot && e.at).map((e) => e.at);
      assert.ok(places.length > 2, `it moved: ${JSON.stringify(places)}`);
      const [lastX, lastY] = places.at(-1);
      assert.ok(Math.abs(lastX - x) <= 1 && Math.abs(lastY - 300) <= 1, `at ${lastX},${lastY}`);
    }
    assert.ok(!guest.events.slice(from).some((e) => e.buttons), "and no gesture of the page's");
    assert.deepEqual(viewer.problems, []);
  });
});
