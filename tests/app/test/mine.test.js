// The pages of this device, with the real module.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createServer } from "node:http";
import { createHash } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../../napi/lib/module.js";
import { lent, paintingDisk, paintingMachine, smallest } from "../../napi/lib/machines.js";
import { ownCatalogue } from "./lib/catalogue.js";
import { home, library, native, seen, start, text } from "./lib/pages.js";

let app;
before(library);
after(async () => app?.close());

const fresh = async (options) => {
  await app?.close();
  app = await start(options);
  await app.until(() => app.has("#tab_mine"));
  await app.click("#tab_mine");
  await app.until(() => app.has("#mine_storage"));
  return app;
};
const medium = (name) => lent(paintingDisk(home), name, (file) => native.media.add(file, ["not_a_medium"]).run());

test("what can go is named before it goes, and the trash gives back", async () => {
  const thrown = (await native.machines.create(smallest("thrown away"), []).run()).id;
  const kept = await paintingMachine(home, "kept");
  await native.machines.remove(thrown);
  await medium("unused.img");
  await fresh();
  await app.until(() => app.texts(app.find("#storage_bar")).some((one) => /^Trash /.test(one)));
  await app.click("#mine_storage");
  await app.until(() => app.has("#clean_trash"));
  assert.ok(app.texts(app.find("#storage_clean")).some((one) => one.includes("thrown away")));
  assert.ok(app.texts(app.find("#storage_clean")).some((one) => one.includes("unused.img")));
  assert.ok(app.has(`#storage_${kept}`), "each machine is there with what it takes");
  await assert.rejects(app.click("#clean_do"), /switched off/, "nothing is chosen yet");

  await app.click("[id='trash_restore_thrown away']");
  await app.until(() => !app.has("#trash"));
  assert.ok((await native.machines.list()).some(({ id }) => id === thrown));

  await app.click("#clean_unusedMedia");
  await app.click("#clean_do");
  await app.until(() => !app.has("#clean_unusedMedia"));
  assert.deepEqual((await native.media.list()).map(({ name }) => name), []);

  await native.machines.remove(thrown);
  await app.back();
  await app.click("#mine_storage");
  await app.until(() => app.has("#clean_trash"));
  await app.click("#clean_trash");
  await app.click("#clean_do");
  await seen(app, "base", "sto_clean_ask");
  await app.click("Cancel");
  assert.equal((await native.machines.trash()).length, 1, "nobody agreed");
  await app.click("[id='trash_purge_thrown away']");
  await seen(app, "base", "sto_purge_ask");
  await app.click("Delete for ever");
  await until("it is gone", async () => (await native.machines.trash()).length === 0);
  await app.until(() => app.has("#storage_nothing"));
});

for (const language of ["base", "zh_CN"]) {
  test(`each way to run guests says whether it works, why, and what would help (${language})`, async () => {
    await fresh({ language });
    await app.click("#mine_capabilities");
    await app.until(() => app.has("#cap_ways"));
    const { accelerators, guests } = await native.host.capabilities();
    for (const { name, usable, why } of accelerators) {
      assert.match(app.find(`#cap_${name}`).textContent, text(language, usable ? "cap_yes" : "cap_no"));
      const told = app.find(`#cap_why_${name}`).textContent;
      assert.ok(told.length > 3 && told !== why.message && told !== why.code, `${name}: ${told}`);
      assert.equal(/[\u4e00-\u9fff]/.test(told), language === "zh_CN", told);
      assert.equal(app.has(`#cap_remedy_${name}`), !usable);
    }
    for (const { arch } of guests) assert.ok(app.has(`#cap_guest_${arch}`));
    const { cores } = await native.host.figures();
    await app.until(() => app.texts(app.find("#cap_cores")).includes(String(cores)));
  });
}

test("systems are searched, images are added and removed", async () => {
  const image = join(home, "own.img");
  writeFileSync(image, Buffer.alloc(1 << 20));
  await fresh({ picks: [[`file://${image}`]] });
  await app.click("#mine_downloads");
  await app.until(() => app.has("#downloads_catalogue"));
  const rows = () => app.all("[id^=entry_]").length;
  const all = rows();
  await app.type("#downloads_search", "alpine");
  await app.until(() => rows() > 0 && rows() < all);
  assert.ok(app.all("[id^=entry_]").every((el) => /alpine/i.test(el.textContent)));
  await app.type("#downloads_search", "no such system");
  await seen(app, "base", "dl_nothing");
  await app.click("#downloads_file");
  await seen(app, "base", "confirm_title");
  await app.click("Continue");
  await app.until(() => app.has("[id='medium_own.img']"));
  await app.click("[id='medium_remove_own.img']");
  await seen(app, "base", "dl_remove_ask");
  await app.click("Delete");
  await app.until(() => !app.has("[id='medium_own.img']"));
  assert.deepEqual((await native.media.list()).map(({ name }) => name), []);
});

test("a download by address goes on after it was cut off, and is checked", async () => {
  const content = Buffer.alloc(2 << 20, "sampan ");
  const sha256 = createHash("sha256").update(content).digest("hex");
  let stalls = true;
  const server = createServer((request, response) => {
    const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
    response.writeHead(from ? 206 : 200, {
      "content-length": content.length - from, "accept-ranges": "bytes", etag: '"1"',
      ...(from && { "content-range": `bytes ${from}-${content.length - 1}/${content.length}` }),
    });
    if (stalls) response.write(content.subarray(from, from + (content.length >> 1)));
    else response.end(content.subarray(from));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await fresh();
    await app.click("#mine_downloads");
    await app.until(() => app.has("#downloads_address"));
    await app.click("#downloads_address");
    await app.type("#address_url", "not an address");
    await assert.rejects(app.click("#address_done"), /switched off/);
    await app.type("#address_url", `http://127.0.0.1:${server.address().port}/system.img`);
    await app.type("#address_digest", sha256);
    await app.click("#address_done");
    await app.until(() => app.has("#downloads_jobs"));
    const job = await app.until(async () => (await native.jobs.list()).find(({ kind, progress }) => kind === "download" && progress?.done > content.length >> 2));
    await app.click(`#job_cancel_${job.id}`);
    await app.until(() => app.has("[id='unfinished_resume_system.img']"));
    stalls = false;
    await app.click("[id='unfinished_resume_system.img']");
    await app.until(() => app.has("[id='medium_system.img']"));
    assert.equal((await native.media.list()).find(({ name }) => name === "system.img").size, content.length);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test("a system of the catalogue is one with its job and with what is here of it; the network says when it rests", async () => {
  const catalogue = await ownCatalogue(join(home, "library"));
  const name = `${catalogue.disk}_x86_64`;
  const [fetch, pause, cancel] = ["fetch", "pause", "cancel"].map((what) => `[id='${what}_${name}']`);
  const job = async () => (await native.jobs.list()).find(({ kind }) => kind === "download");
  try {
    catalogue.pace = "half";
    await fresh();
    await app.click("#mine_downloads");
    await app.until(() => app.has("#downloads_arch"));
    await app.click("#downloads_arch");
    await app.click("#downloads_arch_x86_64");
    await app.until(() => app.has(fetch));
    // Without a network, and over one that costs money.
    app.system.network({ online: false });
    await app.click(fetch);
    await app.until(() => app.texts().some((one) => text("base", "err_offline_what").test(one.split(" · ")[0])));
    for (const { id, error } of await native.jobs.list()) if (error) await native.jobs.discard(id);
    app.system.network({ metered: true });
    await app.until(() => app.has(fetch));
    await app.click(fetch);
    await seen(app, "base", "metered");
    await app.click("Not now");
    assert.equal(await job(), undefined);
    await app.click(fetch);
    await seen(app, "base", "metered");
    await app.click("Download");

    await app.until(() => app.has(cancel) && app.has(pause));
    assert.ok(!app.has(fetch), "it is not begun twice");
    await app.until(async () => (await job())?.progress?.done > 1 << 20);
    await app.click(pause);
    await app.until(() => app.texts(app.find("#downloads_jobs")).includes("Paused"));
    assert.equal((await job()).state, "paused");
    assert.ok(app.texts(app.find("#downloads_jobs")).some((one) => one.includes("Painter 1")), "the job has the entry's name");
    await app.click(pause);
    await seen(app, "base", "metered");
    await app.click("Download");
    await app.until(async () => (await job()).state === "running");
    await app.click(cancel);
    await app.until(() => app.has(`[id='unfinished_resume_${catalogue.disk}-x86_64.raw']`));
    assert.equal(app.texts(app.find(fetch)).join(), "Go on", "its entry knows of it");
    await app.until(() => app.texts(app.find(`[id='entry_${name}']`)).some((one) => /of 8(\.0)? MB here/.test(one)));
    app.system.network({});
    catalogue.pace = "all";
    await app.click(fetch);
    await app.until(() => app.has(`[id='medium_${catalogue.disk}-x86_64.raw']`));
    assert.ok(catalogue.asked.at(-1)[1] > 0, "the rest alone was asked for");
    await app.until(() => !app.has(fetch));
    await native.media.remove(`${catalogue.disk}-x86_64.raw`);
  } finally {
    catalogue.close();
    rmSync(join(home, "library/catalogue.json"));
    await native.downloads.setNetwork(true, false);
  }
});

for (const language of ["base", "zh_CN"]) {
  test(`an address that proves nothing is refused in words (${language})`, async () => {
    await fresh({ language });
    await app.click("#mine_downloads");
    await app.until(() => app.has("#downloads_address"));
    await app.click("#downloads_address");
    await app.type("#address_url", "http://127.0.0.1:9/plain.img");
    await app.click("#address_done");
    await seen(app, language, "err_plain_http_what", "#error_card");
  });
}

test("settings are kept, and the appearance is the system's to change", async () => {
  await fresh();
  await app.click("#mine_settings");
  await app.until(() => app.has("#set_keys"));
  await app.click("#set_pointer");
  await app.click("#set_pointer_direct");
  await app.until(() => app.texts(app.find("#set_pointer")).includes("Direct"));
  await app.click("#set_keys");
  await app.click("#set_appearance");
  await app.click("#set_appearance_dark");
  await app.until(() => app.texts(app.find("#set_appearance")).includes("Dark"));
  const kept = app.env.preferences;
  assert.deepEqual([kept.settings.pointerMode, kept.settings.showKeys, kept.settings.appearance], ["direct", false, "dark"]);
  assert.ok(app.calls.some(({ name, args }) => /colormode/i.test(name) && args[0] === 0), "the system is asked to show the app in the dark");
  await fresh({ preferences: structuredClone(kept) });
  await app.click("#mine_settings");
  await app.until(() => app.has("#set_keys") && app.texts(app.find("#set_pointer")).includes("Direct"));
  assert.ok(app.texts(app.find("#set_appearance")).includes("Dark"));
});

for (const language of ["base", "zh_CN"]) {
  test(`what is not there says so, and nothing pretends (${language})`, async () => {
    await fresh({ language });
    await app.click("#mine_devices");
    // A module that shows machines to nobody has no devices to list.
    if (native.stream !== undefined) await seen(app, language, "devs_none_note");
    await app.back();
    await app.click("#mine_about");
    await seen(app, language, "ab_source");
    await app.back();
    await app.click("#tab_apps");
    await seen(app, language, "apps_none");
    await app.click("#apps_copy");
    await seen(app, language, "copied");
  });
}
