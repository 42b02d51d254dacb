// The viewer's page on a PC, a tablet and a phone: text of input methods, locks, on-screen keys, fingers, pictures, and
// what it says when there is no connection.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { Viewer, launch } from "./lib/browser.js";
import { until } from "./lib/processes.js";
import { Sampan } from "./lib/sampan.js";

/** evdev codes, from linux/input-event-codes.h. */
const EVDEV = { KeyA: 30, KeyB: 48, KeyQ: 16, CapsLock: 58, ControlLeft: 29, ShiftLeft: 42, AltLeft: 56, AltRight: 100, F4: 62, ArrowLeft: 105 };
const LEFT = 1, RIGHT = 2;

/** Keys since `from`, as +code and -code. */
const keys = (guest, from) =>
  guest.events.slice(from).filter((e) => e.key !== undefined).map((e) => (e.down ? "+" : "-") + e.key).join(" ");

const button = (viewer, name) => viewer.page.getByRole("button", { name, exact: true });

/** The bar comes back when the pointer is at the upper edge; on a phone by its handle. */
async function openMenu(viewer) {
  const { page } = viewer;
  const more = page.locator('[aria-controls="menu"]');
  if ((await more.getAttribute("aria-expanded")) === "true") return;
  await page.evaluate(() => document.querySelector(".handle").click());
  await more.click();
}

/** Sends a key event that a browser's driver cannot make. */
function dispatch(viewer, type, init) {
  return viewer.page.evaluate(([name, given]) => {
    document.activeElement.dispatchEvent(new KeyboardEvent(name, { bubbles: true, cancelable: true, ...given }));
  }, [type, init]);
}

describe("the page on a PC", () => {
  let sampan, guest, browser, viewer, tools;

  before(async () => {
    [sampan, browser] = await Promise.all([Sampan.run(), launch()]);
    guest = sampan.guest;
    viewer = await Viewer.open(browser, sampan.url, { locale: "zh-CN" });
    tools = await viewer.page.context().newCDPSession(viewer.page);
    await viewer.driving();
    await viewer.reaches((await guest.state()).counter);
  });

  after(async () => {
    await browser?.close();
    await sampan?.stop();
  });

  const typed = async (text) => {
    let seen;
    await until(async () => {
      seen = (await guest.state()).text;
      return seen.endsWith(text);
    }, () => `the guest to have ${JSON.stringify(text)}, not ${JSON.stringify(seen)}`);
  };

  test("it speaks the browser's language, and another when asked to", async () => {
    const { page } = viewer;
    assert.equal(await page.getAttribute("html", "lang"), "zh-Hans");
    await until(async () => /正在运行/.test(await page.textContent(".state")), "the state in Chinese");
    await openMenu(viewer);
    await Promise.all([page.waitForEvent("load"), page.getByLabel("语言").selectOption("en")]);
    await viewer.connected();
    await until(async () => /Running/.test(await page.textContent(".state")), "the state in English");
    await openMenu(viewer);
    await Promise.all([page.waitForEvent("load"), page.getByLabel("Language").selectOption("zh")]);
    await viewer.driving();
    assert.equal(await page.getAttribute("html", "lang"), "zh-Hans");
  });

  test("colours are the system's or one's own", async () => {
    const { page } = viewer;
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    await page.emulateMedia({ colorScheme: "light" });
    const light = await ground();
    await openMenu(viewer);
    await page.getByLabel("颜色").selectOption("dark");
    const dark = await ground();
    assert.notEqual(dark, light);
    await page.getByLabel("颜色").selectOption("auto");
    assert.equal(await ground(), light);
    await page.emulateMedia({ colorScheme: "dark" });
    assert.equal(await ground(), dark);
  });

  test("what an input method writes arrives in order with keys, and nothing of what it composes", async () => {
    const { page } = viewer;
    await guest.ask({ cmd: "clear" });
    // A press on the picture closes the menu.
    const place = await viewer.place(100, 400);
    await page.mouse.click(place.x, place.y);
    assert.ok(await page.locator(".menu").isHidden());
    await page.evaluate(() => document.querySelector(".handle").click());
    await button(viewer, "用这台设备的键盘和输入法打字").click();
    assert.equal(await page.evaluate(() => document.activeElement.className), "textinput");
    const from = guest.events.length;
    await page.keyboard.press("KeyA");
    await tools.send("Input.imeSetComposition", { text: "shan", selectionStart: 4, selectionEnd: 4 });
    assert.ok(await page.evaluate(() => document.activeElement.classList.contains("composing")));
    await tools.send("Input.imeSetComposition", { text: "shanban", selectionStart: 7, selectionEnd: 7 });
    await tools.send("Input.insertText", { text: "B-sampan." });
    await page.keyboard.press("KeyB");
    await typed("aB-sampan.b");
    assert.match(keys(guest, from), /^\+30 -30 \+42 \+48 -48 -42 /, "Shift for the capital, and no letter of the composition");
    // A letter is typed when its key goes down; its release is on its way.
    let held;
    await until(async () => {
      ({ held } = await guest.state());
      return held.length === 0;
    }, () => `all keys to be up, not ${held} down`);
  });

  test("text that no key types is told where the guest has no clipboard agent", async () => {
    const from = guest.events.length;
    await tools.send("Input.insertText", { text: "你好😀" });
    await until(async () => /剪贴板助手/.test(await viewer.page.textContent(".notice")), "the page to say so");
    await viewer.page.keyboard.press("KeyQ");
    await typed("bq");
    // It was typed when it went down.
    await until(async () => keys(guest, from).endsWith("-16"), "the key to go up");
    assert.equal(keys(guest, from), "+16 -16", "nothing else was typed in its place");
  });

  test("what a phone's keyboard replaces and deletes is replaced and deleted", async () => {
    const { page } = viewer;
    await guest.ask({ cmd: "clear" });
    await tools.send("Input.insertText", { text: "teh" });
    // As keyboards of phones do: the key has no name, and the field changes.
    await page.evaluate(() => document.execCommand("delete"));
    await tools.send("Input.insertText", { text: " " });
    await typed("te ");
    await button(viewer, "用这台设备的键盘和输入法打字").click();
    assert.equal(await page.evaluate(() => document.activeElement.className), "surface");
  });

  test("Caps Lock that was pressed elsewhere is pressed in the guest, once, and pasted text keeps its case", async () => {
    await guest.ask({ cmd: "clear" });
    const from = guest.events.length;
    const press = async (key, modifierCapsLock) => {
      for (const type of ["keydown", "keyup"]) await dispatch(viewer, type, { code: "KeyA", key, modifierCapsLock });
    };
    await press("A", true);
    await press("A", true);
    await guest.event((e) => e.key === EVDEV.KeyA && !e.down, "the key", { from });
    await until(() => keys(guest, from) === "+58 -58 +30 -30 +30 -30", () => keys(guest, from));
    // The guest's LED is known by now: text means what it says, so Shift makes its small letters.
    const written = guest.events.length;
    await viewer.page.evaluate(() => document.querySelector(".handle").click());
    await button(viewer, "用这台设备的键盘和输入法打字").click();
    await tools.send("Input.insertText", { text: "aB" });
    await until(() => keys(guest, written) === "+42 +30 -30 -42 +48 -48", () => keys(guest, written));
    await button(viewer, "用这台设备的键盘和输入法打字").click();
    const off = guest.events.length;
    await press("a", false);
    await until(() => keys(guest, off) === "+58 -58 +30 -30", () => keys(guest, off));
  });

  test("AltGr on Windows is one key, and a real Ctrl is not lost", async () => {
    const windows = await Viewer.open(browser, sampan.url, {
      userAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    });
    try {
      await windows.connected();
      await button(windows, "Take control").click();
      await windows.driving();
      const from = guest.events.length;
      // Both in one task, as Windows sends them.
      await windows.page.evaluate(() => {
        const send = (type, code, key) => document.activeElement.dispatchEvent(
          new KeyboardEvent(type, { code, key, bubbles: true, cancelable: true }));
        send("keydown", "ControlLeft", "Control");
        send("keydown", "AltRight", "AltGraph");
        send("keydown", "KeyQ", "@");
        send("keyup", "KeyQ", "@");
        send("keyup", "ControlLeft", "Control");
        send("keyup", "AltRight", "AltGraph");
      });
      await until(() => keys(guest, from) === "+100 +16 -16 -100", () => keys(guest, from));
      await windows.page.keyboard.press("Control+KeyA");
      await until(() => keys(guest, from) === "+100 +16 -16 -100 +29 +30 -30 -29", () => keys(guest, from));
    } finally {
      await windows.close();
    }
    await viewer.driving();
  });

  test("on-screen keys: a tap is for one key, two taps lock, combinations are pressed whole", async () => {
    const { page } = viewer;
    await page.evaluate(() => document.querySelector(".handle").click());
    await page.locator('[aria-controls="keys"]').click();
    const ctrl = page.locator('.keys [data-code="ControlLeft"]');
    let from = guest.events.length;
    await ctrl.click();
    assert.equal(await ctrl.getAttribute("aria-pressed"), "true");
    await page.keyboard.press("KeyA");
    await until(() => keys(guest, from) === "+29 +30 -30 -29", () => keys(guest, from));
    assert.equal(await ctrl.getAttribute("aria-pressed"), "false");
    from = guest.events.length;
    await ctrl.dblclick();
    await page.keyboard.press("KeyA");
    await page.getByRole("button", { name: "按一下 左" }).click();
    await until(() => keys(guest, from) === "+29 +30 -30 +105 -105", () => keys(guest, from));
    assert.match(await ctrl.getAttribute("aria-label"), /已锁定/);
    await ctrl.click();
    await until(() => keys(guest, from).endsWith("-105 -29"), () => keys(guest, from));
    from = guest.events.length;
    await page.getByRole("button", { name: "按一下 Alt-F4" }).click();
    await until(() => keys(guest, from) === "+56 +62 -62 -56", () => keys(guest, from));
    assert.equal(await page.evaluate(() => document.activeElement.className), "surface", "the screen keeps the keys");
    // What is held goes when the page loses the focus.
    await ctrl.click();
    await page.evaluate(() => window.dispatchEvent(new Event("blur")));
    await until(async () => (await guest.state()).held.length === 0, "Ctrl to be let go of");
    assert.equal(await ctrl.getAttribute("aria-pressed"), "false");
    await page.locator('[aria-controls="keys"]').click();
  });

  test("a button right after a motion acts on the pixel of that motion", async () => {
    const { page } = viewer;
    for (const [x, y] of [[100, 300], [900, 700], [333, 444]]) {
      const from = guest.events.length;
      const place = await viewer.place(x, y);
      // No pause between the two: the motion's own channel is slower.
      await Promise.all([page.mouse.move(place.x, place.y), page.mouse.down()]);
      const down = await guest.event((e) => e.buttons === LEFT, `the button at ${x},${y}`, { from });
      assert.deepEqual(down.pointer, [x, y]);
      await page.mouse.up();
      await guest.event((e) => e.buttons === 0, "the button to go up", { from });
    }
  });

  test("a picture is saved in the guest's own pixels, and a recording as a video", async () => {
    const { page } = viewer;
    const { width, height } = await guest.state();
    await openMenu(viewer);
    const saved = async (name) => {
      const [download] = await Promise.all([page.waitForEvent("download"), button(viewer, name).click()]);
      return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
    };
    const picture = await saved("保存截图");
    assert.match(picture.name, /\.png$/);
    // The PNG's IHDR: width and height after the signature and the chunk's head.
    assert.deepEqual([picture.bytes.readUInt32BE(16), picture.bytes.readUInt32BE(20)], [width, height]);
    await guest.workload("scroll", 20);
    await button(viewer, "录制视频").click();
    await page.locator(".recording").waitFor({ state: "visible" });
    await viewer.frames(20);
    const recording = await saved("停止录制");
    await guest.workload("desk");
    assert.match(recording.name, /\.webm$/);
    // EBML's own signature (RFC 8794).
    assert.deepEqual([...recording.bytes.subarray(0, 4)], [0x1a, 0x45, 0xdf, 0xa3]);
    assert.ok(recording.bytes.length > 1000, `${recording.bytes.length} bytes`);
    await page.locator(".recording").waitFor({ state: "hidden" });
  });

  test("the panel tells how the picture travels", async () => {
    const { page } = viewer;
    await guest.workload("scroll", 20);
    await openMenu(viewer);
    await page.getByRole("switch", { name: "统计信息" }).click();
    const rows = () => page.$$eval(".stats dd", (all) => all.map((row) => row.textContent));
    await until(async () => {
      const [size, fps, rate, , decode, paint, , , codec, path] = await rows();
      return /× /.test(size) && parseInt(fps) > 0 && parseInt(rate) > 0 && /ms/.test(decode) && /ms/.test(paint)
        && /H264|VP8/.test(codec) && path === "UDP，直连";
    }, async () => `the figures: ${await rows()}`);
    await guest.workload("desk");
  });

  test("the page raised no error of its own", () => {
    assert.deepEqual(viewer.problems, []);
  });
});

describe("two pages of one machine", () => {
  let sampan, guest, browser, first, second;

  before(async () => {
    [sampan, browser] = await Promise.all([Sampan.run(), launch()]);
    guest = sampan.guest;
    first = await Viewer.open(browser, sampan.url);
    await first.driving();
    second = await Viewer.open(browser, sampan.url, { width: 800, height: 600 });
    await second.connected();
    for (const viewer of [first, second]) await viewer.reaches((await guest.state()).counter);
  });

  after(async () => {
    await browser?.close();
    await sampan?.stop();
  });

  const strip = (viewer) => viewer.page.locator(".people");

  test("the one that came later is told that its keys, clicks and size have no effect", async () => {
    const from = guest.events.length;
    await until(async () => (await second.marks()).driving === "false", "the page to say so");
    assert.match(await strip(second).innerText(), /The owner drives: your keys and your pointer have no effect/);
    assert.ok(await strip(first).isHidden());
    await second.page.locator(".surface").click();
    await second.page.keyboard.press("KeyA");
    await second.page.locator(".people.remind").waitFor();
    // What the other one does afterwards has arrived, and nothing before it.
    await first.page.keyboard.press("KeyB");
    await guest.event((e) => e.key === EVDEV.KeyB && !e.down, "the driver's key", { from });
    assert.equal(keys(guest, from), "+48 -48");
    assert.ok(!guest.events.slice(from).some((e) => e.buttons), "no button");
    assert.equal((await guest.state()).width, 1024, "the driver's size");
  });

  test("control changes hands with nothing held, and the size is the driver's", async () => {
    const from = guest.events.length;
    await first.page.keyboard.down("Shift");
    await guest.event((e) => e.key === EVDEV.ShiftLeft && e.down, "Shift to go down", { from });
    await button(second, "Take control").click();
    await guest.event((e) => e.key === EVDEV.ShiftLeft && !e.down, "Shift to go up", { from });
    await second.driving();
    await until(async () => (await first.marks()).driving === "false", "the other page to say so");
    await until(async () => (await guest.state()).width === 800, "the guest to take the new driver's size");
    await second.page.locator(".surface").click();
    await second.page.keyboard.press("KeyA");
    await guest.event((e) => e.key === EVDEV.KeyA && !e.down, "the new driver's key", { from });
    await first.page.keyboard.up("Shift");
  });

  test("everybody is listed, and a page that leaves leaves control to the other", async () => {
    const { stream } = await sampan.ctl("status", "--json");
    assert.deepEqual(stream.viewers.map((viewer) => viewer.driving), [false, true]);
    await openMenu(second);
    const rows = await second.page.locator(".person").allInnerTexts();
    assert.deepEqual(rows.map((row) => row.split("\n").slice(0, 2)), [["The owner", "watches"], ["The owner (you)", "drives"]]);
    await second.close();
    await first.driving();
    assert.ok(await strip(first).isHidden());
    const from = guest.events.length;
    await first.page.keyboard.press("KeyQ");
    await guest.event((e) => e.key === EVDEV.KeyQ && !e.down, "its key", { from });
    assert.deepEqual(first.problems, []);
  });
});

// A guest's pixel is two of a dense display's, as the page proposes there.
for (const [device, width, height] of [["a phone", 390, 844], ["a tablet", 820, 1180]]) {
  describe(`fingers on ${device}, for a guest without a touch screen`, () => {
    let sampan, guest, browser, viewer, tools;

    before(async () => {
      [sampan, browser] = await Promise.all([Sampan.run(), launch()]);
      guest = sampan.guest;
      viewer = await Viewer.open(browser, sampan.url, {
        width, height, hasTouch: true, isMobile: true, deviceScaleFactor: 2,
      });
      tools = await viewer.page.context().newCDPSession(viewer.page);
      await viewer.connected();
      await until(async () => (await guest.state()).width === width, "the guest to take the screen's size");
      await viewer.reaches((await guest.state()).counter);
    });

    after(async () => {
      await browser?.close();
      await sampan?.stop();
    });

    const touch = (type, ...points) => tools.send("Input.dispatchTouchEvent", {
      type, touchPoints: points.map(([x, y], id) => ({ x, y, id })),
    });
    const at = async (x, y) => {
      const place = await viewer.place(x, y);
      return [place.x, place.y];
    };

    test("the bar goes away, and comes back by its handle", async () => {
      const { page } = viewer;
      await page.locator(".toolbar.away").waitFor({ state: "attached" });
      await page.evaluate(() => Promise.all(document.querySelector(".toolbar").getAnimations().map((all) => all.finished)));
      const box = await page.locator(".handle").boundingBox();
      assert.ok(box.y + box.height >= 20, "large enough for a finger");
      const from = guest.events.length;
      await page.touchscreen.tap(box.x + box.width / 2, box.y + box.height - 8);
      await page.locator(".toolbar:not(.away)").waitFor({ state: "attached" });
      assert.equal(await page.locator('[aria-expanded="true"]').count(), 0, "and nothing under it is pressed");
      assert.ok(!guest.events.slice(from).some((e) => e.buttons), "nor in the guest");
      await page.locator(".toolbar.away").waitFor({ state: "attached" });
    });

    test("a tap clicks on the pixel", async () => {
      const from = guest.events.length;
      const place = await at(200, 400);
      await touch("touchStart", place);
      await touch("touchEnd");
      const down = await guest.event((e) => e.buttons === LEFT, "the button", { from });
      assert.deepEqual(down.pointer, [200, 400]);
      await guest.event((e) => e.buttons === 0, "its release", { from });
    });

    test("a long press is the right button, a drag draws", async () => {
      let from = guest.events.length;
      await touch("touchStart", await at(220, 500));
      const down = await guest.event((e) => e.buttons === RIGHT, "the right button", { from });
      assert.deepEqual(down.pointer, [220, 500]);
      await touch("touchEnd");
      await guest.event((e) => e.buttons === 0, "its release", { from });
      from = guest.events.length;
      await touch("touchStart", await at(100, 600));
      for (let step = 1; step <= 10; step++) await touch("touchMove", await at(100 + 20 * step, 600));
      await touch("touchEnd");
      const end = await guest.event((e) => e.pointer && e.buttons === 0 && e.pointer[0] === 300, "the end of the drag", { from });
      assert.deepEqual(end.pointer, [300, 600]);
      assert.ok(guest.events.slice(from).some((e) => e.buttons === LEFT && e.pointer[0] > 100), "it was dragged");
    });

    test("two fingers turn the wheel", async () => {
      const from = guest.events.length;
      const finger = async (dy) => [await at(200, 600 + dy), await at(300, 600 + dy)];
      await touch("touchStart", ...(await finger(0)));
      for (let step = 1; step <= 12; step++) await touch("touchMove", ...(await finger(-20 * step)));
      await touch("touchEnd");
      await guest.event((e) => e.wheel && e.wheel[1] === -1, "a notch down", { from });
      assert.ok(!guest.events.slice(from).some((e) => e.buttons), "and press nothing");
    });

    test("a pinch enlarges the picture, where a tap still hits the pixel", async () => {
      const { page } = viewer;
      const surface = () => page.evaluate(() => document.querySelector(".surface").getBoundingClientRect().width);
      const before = await surface();
      const middle = [width / 2, height / 2];
      const spread = (d) => [[middle[0] - d, middle[1]], [middle[0] + d, middle[1]]];
      await touch("touchStart", ...spread(30));
      for (let d = 40; d <= 120; d += 10) await touch("touchMove", ...spread(d));
      await touch("touchEnd");
      await until(async () => (await surface()) > 2 * before, async () => `${await surface()} after ${before}`);
      const { width: w, height: h } = await guest.state();
      const pixel = [Math.floor(w / 2) + 7, Math.floor(h / 2) - 9];
      const from = guest.events.length;
      await touch("touchStart", await at(...pixel));
      await touch("touchEnd");
      const down = await guest.event((e) => e.buttons === LEFT, "the button", { from });
      assert.deepEqual(down.pointer, pixel);
      await openMenu(viewer);
      await button(viewer, "Whole picture").click();
      await until(async () => (await surface()) === before, async () => `${before}, not ${await surface()}`);
    });

    test("as a trackpad a finger moves the pointer, and a tap clicks where that is", async () => {
      const { page } = viewer;
      await openMenu(viewer);
      await page.getByLabel("Fingers").selectOption("trackpad");
      await page.locator('[aria-controls="menu"]').click();
      const { pointer } = await guest.state();
      let from = guest.events.length;
      await touch("touchStart", [200, 600]);
      for (let step = 1; step <= 8; step++) await touch("touchMove", [200 - 5 * step, 600]);
      await touch("touchEnd");
      const moved = await guest.event((e) => e.pointer && e.pointer[0] < pointer[0] - 20, "the pointer to move", { from });
      assert.ok(!guest.events.slice(from).some((e) => e.buttons), "no button");
      assert.equal(moved.pointer[1], pointer[1]);
      // Its last moves are still on their way.
      let still;
      await until(async () => {
        const before = still;
        still = (await guest.state()).pointer;
        await new Promise((resolve) => setTimeout(resolve, 200));
        return before !== undefined && before.join() === still.join();
      }, "the pointer to rest");
      from = guest.events.length;
      await touch("touchStart", [100, 300]);
      await touch("touchEnd");
      const down = await guest.event((e) => e.buttons === LEFT, "the click", { from });
      assert.deepEqual(down.pointer, still, "where the pointer was");
      await guest.event((e) => e.buttons === 0, "its release", { from });
    });

    test("three fingers call the keyboard, whose text is typed", async () => {
      await guest.ask({ cmd: "clear" });
      await touch("touchStart", [100, 400], [200, 400], [300, 400]);
      await touch("touchEnd");
      await until(() => viewer.page.evaluate(() => document.activeElement.className === "textinput"), "the text field");
      await tools.send("Input.imeSetComposition", { text: "hel", selectionStart: 3, selectionEnd: 3 });
      let text;
      // Nothing but letters is composed in English: they go at once.
      await until(async () => (text = (await guest.state()).text) === "hel", () => `letters at once: ${text}`);
      await tools.send("Input.imeSetComposition", { text: "hello", selectionStart: 5, selectionEnd: 5 });
      await tools.send("Input.insertText", { text: "hello" });
      await until(async () => (text = (await guest.state()).text) === "hello", () => `each letter once: ${text}`);
    });

    test("nothing reaches beyond the screen", async () => {
      const { page } = viewer;
      await page.evaluate(() => document.querySelector(".handle").click());
      await page.locator('[aria-controls="keys"]').click();
      await openMenu(viewer);
      const wide = await page.evaluate(() => [...document.querySelectorAll(".bar, .menu, .keys, .notice")]
        .filter((node) => !node.hidden)
        .map((node) => ({ name: node.className, box: node.getBoundingClientRect() }))
        .filter(({ box }) => box.left < -0.5 || box.right > innerWidth + 0.5 || box.bottom > innerHeight + 0.5)
        .map(({ name }) => name));
      assert.deepEqual(wide, []);
      // What fingers press is large enough for them (WCAG 2.2, 2.5.8 wants 24 pixels, 2.5.5 wants 44).
      const small = await page.evaluate(() => [...document.querySelectorAll(".bar button, .menu button, .keys button")]
        .filter((node) => node.offsetParent !== null && !node.hidden)
        .map((node) => ({ name: node.textContent || node.title, box: node.getBoundingClientRect() }))
        .filter(({ box }) => box.width < 44 || box.height < 44)
        .map(({ name }) => name));
      assert.deepEqual(small, []);
      assert.deepEqual(viewer.problems, []);
    });
  });
}

describe("a page without a connection", () => {
  let sampan, browser;

  before(async () => {
    [sampan, browser] = await Promise.all([Sampan.run(), launch()]);
  });

  after(async () => {
    await browser?.close();
    await sampan?.stop();
  });

  const title = (viewer, pattern) => until(
    async () => pattern.test(await viewer.page.textContent(".notice h1")),
    async () => `${pattern}, not ${await viewer.page.textContent(".notice")}`, 60_000);

  test("where neither UDP nor TCP comes through it is told as such, and tried again", async () => {
    const viewer = await Viewer.open(browser, sampan.url, {
      prepare: (page) => page.route("**/whep", async (route) => {
        const answer = await route.fetch();
        // Port 9 discards.
        const body = (await answer.text()).replace(/^(a=candidate:\S+ \d+ (?:udp|tcp) \d+ \S+) \d+ /gim, "$1 9 ");
        await route.fulfill({ response: answer, body });
      }),
    });
    await title(viewer, /picture is blocked/);
    assert.match(await viewer.page.textContent(".notice"), /UDP.*TCP.*Allow UDP/s);
    await viewer.page.unroute("**/whep");
    await button(viewer, "Try now").click();
    await viewer.connected();
    await viewer.close();
  });

  test("each refusal has its own words", async () => {
    for (const [status, pattern] of [[503, /Too many viewers/], [406, /video format/], [421, /address/], [500, /cannot be shown/]]) {
      let asked = 0;
      const viewer = await Viewer.open(browser, sampan.url, {
        prepare: (page) => page.route("**/whep", (route) => {
          asked += 1;
          return route.fulfill({ status, body: "in the server's words" });
        }),
      });
      await title(viewer, pattern);
      // It is tried again, which does not take the reason away, or it is not.
      const marks = new Set();
      await until(async () => {
        marks.add((await viewer.marks()).connection);
        assert.match(await viewer.page.textContent(".notice h1"), pattern);
        return status < 500 ? marks.has("refused") : asked > 1 && marks.has("waiting");
      }, () => `${status}: ${[...marks]}`);
      assert.equal(await button(viewer, "Try now").isVisible(), status >= 500, `${status}`);
      await viewer.close();
    }
  });

  test("a server that is gone is told, and its page comes back by itself", async () => {
    const viewer = await Viewer.open(browser, sampan.url);
    await viewer.connected();
    await viewer.page.context().setOffline(true);
    await viewer.page.evaluate(() => globalThis.sampanPeers.at(-1).close());
    await viewer.page.evaluate(() => globalThis.sampanPeers.at(-1).dispatchEvent(new Event("connectionstatechange")));
    await title(viewer, /No network|Connection lost/);
    await title(viewer, /No network/);
    await viewer.page.context().setOffline(false);
    await viewer.connected();
    await viewer.close();
  });

  test("a machine that has ended does not leave a black picture", async () => {
    const viewer = await Viewer.open(browser, sampan.url);
    await viewer.connected();
    await sampan.stop();
    await title(viewer, /does not answer/);
    assert.ok(await button(viewer, "Try now").isVisible());
    await viewer.close();
  });
});
