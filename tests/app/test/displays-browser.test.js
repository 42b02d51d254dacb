// A machine with two displays in Chromium: the real module draws what the guest shows on each, in two windows at once.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { join } from "node:path";
import { folder, modulePath, native, qemu } from "../../napi/lib/module.js";
import { tinyMachine } from "../../napi/lib/machines.js";
import { serve } from "../bridge/server.js";
import { launch, open } from "../lib/harness/chromium.js";
import { site } from "../lib/site.js";

/** The tiny guest's paper, on the first and the second display. */
const PAPERS = [[0x18, 0x24, 0x30], [0x30, 0x18, 0x24]];
const home = join(folder(), "library");
let server, browser, desk;

before(async () => {
  await native.host.init(home, qemu);
  desk = await tinyMachine("desk");
  await native.machines.change(desk, [{ field: "displays.heads", value: "2" }], []);
  await native.life.start(desk).run();
  server = await serve({ native, modulePath, libraries: qemu, home, pages: await site(), config: {} });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  server?.close();
  await native.life.forceOff(desk);
});

const tapped = (page) => (what) => page.locator(`${what}:visible`).first().click({ timeout: 60_000 });
/** Waits until a good part of what the guest's canvas shows has this colour. */
const shows = (page, colour) => page.waitForFunction((wanted) => {
  const canvas = [...document.querySelectorAll("canvas")].find((one) => one.offsetParent && one.width > 100);
  if (!canvas) return false;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let alike = 0;
  for (let at = 0; at < data.length; at += 4) if (wanted.every((value, i) => Math.abs(data[at + i] - value) <= 2)) alike += 1;
  return alike > data.length / 8;
}, colour, { timeout: 90_000 });
const factsOf = (page) => page.locator("#bar_facts:visible, #screen_facts:visible").first().textContent();

async function window() {
  const opened = await open(browser, server.url, { width: 900, height: 700, query: { language: "base", device: "tablet" } });
  const { page } = opened;
  const tap = tapped(page);
  await tap(`#picture_${desk}`);
  return {
    ...opened, tap,
    shows: (colour) => shows(page, colour),
    async choose(display) {
      await tap("#dock_more");
      await tap(`#display_${display}`);
    },
    facts: () => factsOf(page),
  };
}

test("two windows show two displays of one machine, and each turns to the other", async () => {
  const first = await window();
  await first.shows(PAPERS[0]);
  const second = await window();
  await second.choose(2);
  await second.shows(PAPERS[1]);
  assert.match(await second.facts(), /Display 2/);
  await first.shows(PAPERS[0]);

  // On the second, its row in the sheet is the one that is shown; on the first, the other.
  await second.tap("#dock_more");
  await second.page.locator("#display_2[aria-label$='shown here']").waitFor();
  const { width, height } = await second.page.locator("#more_sheet").boundingBox();
  assert.ok(width > 200 && height > 200);
  await second.tap("#display_1");
  await second.shows(PAPERS[0]);
  await first.choose(2);
  await first.shows(PAPERS[1]);
  assert.deepEqual([...first.problems, ...second.problems], []);
  await first.close();
  await second.close();
});

test("on a PC a display is opened in a window of its own beside the machine's", async () => {
  const main = await open(browser, server.url, { width: 1280, height: 800, query: { language: "base", device: "2in1" } });
  const context = main.page.context();
  const next = async (act) => (await Promise.all([context.waitForEvent("page"), act()]))[0];
  const first = await next(() => tapped(main.page)(`#picture_${desk}`));
  await shows(first, PAPERS[0]);
  await tapped(first)("#dock_more");
  await first.getByLabel("Open display 2 in a window of its own").waitFor();
  const second = await next(() => tapped(first)("#display_open_2"));
  await shows(second, PAPERS[1]);
  assert.match(await factsOf(second), /Display 2/);
  assert.equal(await second.locator("#guest_view").getAttribute("aria-label"), "Screen of desk, display 2");
  await shows(first, PAPERS[0]);
  assert.match(await factsOf(first), /Display 1/);
  assert.deepEqual(main.problems, []);
  await main.close();
});
