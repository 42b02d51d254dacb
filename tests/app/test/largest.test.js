// The largest type on a narrow phone: rows grow, and what stands beside words goes below them. No text is cut, none lies over another, and
// nothing leaves the window.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { join } from "node:path";
import { folder, modulePath, native, qemu } from "../../napi/lib/module.js";
import { lent, paintingDisk, paintingMachine, smallest } from "../../napi/lib/machines.js";
import { serve } from "../bridge/server.js";
import { launch, open } from "../lib/harness/chromium.js";
import { site } from "../lib/site.js";

const LONG = "An exceptionally long name of a machine that nobody would choose but somebody will, all the same";
const SNAPSHOT = "Before the update of everything that could be updated";
const MEDIUM = "debian-13.1.0-amd64-netinst-with-firmware-and-more.iso";
/** As high as the longest page, so that all of it is in view at once. */
const WINDOW = { width: 360, height: 6000 };
let browser, server, runs, rests, off;

before(async () => {
  const home = join(folder(), "library");
  await native.host.init(home, qemu);
  runs = await paintingMachine(folder(), LONG);
  rests = await paintingMachine(folder(), `${LONG} 2`);
  off = (await native.machines.create(smallest("Donaudampfschifffahrtsgesellschaftskapitän"), []).run()).id;
  const thrown = (await native.machines.create(smallest("Another one with a name that is long"), []).run()).id;
  await native.machines.remove(thrown);
  await lent(paintingDisk(folder()), MEDIUM, (file) => native.media.add(file, ["not_a_medium"]).run());
  await native.snapshots.create(runs, SNAPSHOT, "With a remark that is not short either, as people write them", false).run();
  await native.forwards.add(runs, { protocol: "tcp", address: "0.0.0.0", hostPort: 23222, guestPort: 22, count: 1 });
  for (const id of [runs, rests]) await native.life.start(id).run();
  await native.life.suspend(rests).run();
  server = await serve({ native, modulePath, libraries: qemu, home, pages: await site(), config: {} });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
  await native.life.forceOff(runs).catch(() => {});
});

/** Texts that are cut by their own box or by one around it, that lie over another one, or that leave the window. */
const wrong = (page) => page.evaluate((long) => {
  const texts = [];
  const cut = [];
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const short = (text) => text.trim().slice(0, 40);
  for (let node = words.nextNode(); node; node = words.nextNode()) {
    const el = node.parentElement;
    if (!node.data.trim() || ["SCRIPT", "STYLE", "OPTION"].includes(el.tagName) || el.closest("[inert]") || !el.checkVisibility({ visibilityProperty: true })) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const lines = [...range.getClientRects()].filter(({ width, height }) => width > 0 && height > 0);
    if (lines.length === 0) continue;
    // What another page lies over is not seen.
    const { x, y, width, height } = lines[0];
    const on = document.elementFromPoint(Math.min(Math.max(x + width / 2, 0), innerWidth - 1), Math.min(Math.max(y + height / 2, 0), innerHeight - 1));
    const strip = (() => {
      for (let at = el; at; at = at.parentElement) if (/auto|scroll/.test(getComputedStyle(at).overflowX) && at.scrollWidth > at.clientWidth + 1) return at;
      return undefined;
    })();
    if (!strip && on && !el.contains(on) && !on.contains(el)) continue;
    // A head has room for some lines of a machine's name; its page has all of it below.
    const head = el.closest("#page_title, #page_note") && node.data.startsWith(long);
    if (!head && (el.scrollWidth > el.clientWidth + 1 || el.scrollHeight > el.clientHeight + 4) && getComputedStyle(el).overflow !== "visible") cut.push(`cut: ${short(node.data)}`);
    for (let at = el.parentElement; at && at !== document.body; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (at === strip) break;
      if (!/hidden|clip/.test(style.overflowY)) continue;
      const box = at.getBoundingClientRect();
      const last = lines.at(-1);
      if (!head && (last.bottom > box.bottom + 3 || lines[0].top < box.top - 3 || lines.some(({ right, left }) => right > box.right + 1 || left < box.left - 1))) {
        cut.push(`cut by ${at.id || at.className}: ${short(node.data)}`);
        break;
      }
    }
    if (!strip) for (const { left, right } of lines) if (left < -1 || right > innerWidth + 1) cut.push(`outside: ${short(node.data)}`);
    if (!head) texts.push({ el, lines, text: short(node.data) });
  }
  for (let a = 0; a < texts.length; a++) {
    for (let b = a + 1; b < texts.length; b++) {
      const over = texts[a].lines.some((one) => texts[b].lines.some((other) =>
        Math.min(one.right, other.right) - Math.max(one.left, other.left) > 2 && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 6));
      if (over && !texts[a].el.contains(texts[b].el) && !texts[b].el.contains(texts[a].el)) cut.push(`over each other: ${texts[a].text} / ${texts[b].text}`);
    }
  }
  return cut;
}, LONG);

/** Opens a page of the app by its route. */
const go = (page, act, ...args) => page.evaluate(async ([act, args]) => {
  const { router } = await globalThis.preview.env.modules["viewmodel/Router"]();
  const to = router();
  to.root.clear(false);
  to.machines.clear(false);
  to[act](...args);
}, [act, args]);

/** The pages, and what is on each once it is there. */
const pages = () => [
  ["a machine that runs", ["openMachine", runs], "#quick_pause"],
  ["a suspended machine", ["openMachine", rests], "#quick_anew"],
  ["its features", ["openOf", "features", runs], "#feat_all"],
  ["its drives", ["openOf", "drives", runs], "#lock_running"],
  ["its ports", ["openOf", "network", runs], "#forward_23222"],
  ["its folders", ["openOf", "shares", runs], "#vnc_toggle"],
  ["its snapshots", ["openOf", "snapshots", runs], "[id^=snap_back_]"],
  ["its hardware", ["openOf", "hardware", runs], "#hw_cpus_more"],
  ["its programs", ["openOf", "programs", runs], "#error_card"],
  ["its process", ["openOf", "process", runs], "#proc_fork"],
  ["showing it elsewhere", ["openStream", runs], "#stream_enable"],
  ["what a phone does on the other side", ["openRemote"], "#remote_go"],
  ["downloads", ["openMine", "downloads"], "#downloads_catalogue"],
  ["storage", ["openMine", "storage"], "[id^='trash_restore']"],
  ["capabilities", ["openMine", "capabilities"], "#cap_ways"],
  ["settings", ["openMine", "settings"], "#set_process"],
  ["the wizard", ["openWizard"], "#preset_linux"],
];

for (const language of ["base", "zh_CN"]) {
  test(`no text is cut or lies over another one at twice the size on 360 vp (${language})`, async () => {
    const { page, problems, close } = await open(browser, server.url, { ...WINDOW, query: { language, fontScale: 2, device: "phone" } });
    try {
      await page.locator(`#act_${off}:visible`).first().waitFor();
      const found = { "the list": await wrong(page) };
      for (const [name, [act, ...args], there] of pages()) {
        await go(page, act, ...args);
        await page.locator(`${there}:visible`).last().waitFor({ timeout: 60_000 });
        await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
        found[name] = await wrong(page);
      }
      assert.deepEqual(Object.fromEntries(Object.entries(found).filter(([, all]) => all.length > 0)), {});
      assert.deepEqual(problems, []);
    } finally {
      await close();
    }
  });
}

test("a name takes two lines in a row of the usual type, and all of them in the largest", async () => {
  const lines = async (fontScale) => {
    const { page, close } = await open(browser, server.url, { width: 360, height: 2000, query: { language: "base", fontScale, device: "phone" } });
    const name = page.locator(`#machine_${rests}`).getByText(LONG).first();
    await name.waitFor();
    const told = await name.evaluate((el) => ({ lines: Math.round(el.clientHeight / Number.parseFloat(getComputedStyle(el).lineHeight) || el.getClientRects().length), whole: el.scrollHeight <= el.clientHeight + 2, tall: el.clientHeight }));
    await close();
    return told;
  };
  const [usual, largest] = [await lines(1), await lines(2)];
  assert.ok(usual.tall > 30 && usual.tall < 60, `two lines of 16: ${JSON.stringify(usual)}`);
  assert.ok(largest.whole && largest.tall > usual.tall * 2, JSON.stringify(largest));
});

test("nothing of a system's tile leaves it, on any width and with any type", async () => {
  const outside = (page) => page.evaluate(() => [...document.querySelectorAll("[id^=preset_]")].flatMap((tile) => {
    const box = tile.getBoundingClientRect();
    const words = document.createTreeWalker(tile, NodeFilter.SHOW_TEXT);
    const out = [];
    for (let node = words.nextNode(); node; node = words.nextNode()) {
      const range = document.createRange();
      range.selectNodeContents(node);
      for (const { left, right } of range.getClientRects()) if (left < box.left - 1 || right > box.right + 1) out.push(`${tile.id}: ${node.data}`);
    }
    return out;
  }));
  const found = {};
  for (const [device, width] of [["phone", 360], ["tablet", 834], ["2in1", 1280]]) {
    for (const [language, fontScale] of [["base", 1], ["base", 2], ["zh_CN", 2]]) {
      const { page, close } = await open(browser, server.url, { width, height: 1600, query: { language, fontScale, device } });
      await page.locator(`#act_${off}:visible, #machine_${off}:visible`).first().waitFor();
      await go(page, "openWizard");
      await page.locator("#preset_windows11:visible").last().waitFor();
      const out = await outside(page);
      if (out.length > 0) found[`${device} ${language} × ${fontScale}`] = out;
      await close();
    }
  }
  assert.deepEqual(found, {});
});
