// Standard VGA: a display without virtio, whose picture QEMU reads out on a timer.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Viewer, launch } from "./lib/browser.js";
import { Sampan } from "./lib/sampan.js";

test("standard VGA is seen and clicked on like any other", async () => {
  const [sampan, browser] = await Promise.all([Sampan.run({ flags: ["--display", "std"] }), launch()]);
  try {
    const { guest } = sampan;
    const viewer = await Viewer.open(browser, sampan.url);
    await viewer.connected();
    await guest.workload("scroll", 10);
    await viewer.reaches((await guest.state()).counter + 10);
    const { width, height } = await guest.state();
    assert.deepEqual((await viewer.sizes()).shown, [width, height]);
    const [x, y] = [width - 7, height - 11];
    const place = await viewer.place(x, y);
    const from = guest.events.length;
    await viewer.page.mouse.move(place.x, place.y);
    await viewer.page.mouse.down();
    const down = await guest.event((e) => e.buttons === 1, "the button", { from });
    assert.deepEqual(down.pointer, [x, y]);
    await viewer.page.mouse.up();
    assert.deepEqual(viewer.problems, []);
  } finally {
    await browser.close();
    await sampan.stop();
  }
});
