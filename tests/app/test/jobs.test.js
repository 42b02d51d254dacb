// Work that is cancelled is no failure: it is told as cancelled, its row goes, and no page shows an error.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { library, native, seen, start, text } from "./lib/pages.js";

let app, server, address;
/** What the server does with a request: it stalls, or refuses. */
let refuses = false;

before(async () => {
  await library();
  server = createServer((request, response) => {
    if (refuses) return response.writeHead(404).end();
    response.writeHead(200, { "content-length": 4 << 20, "accept-ranges": "bytes", etag: '"1"' });
    response.write(Buffer.alloc(2 << 20));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  address = `http://127.0.0.1:${server.address().port}`;
});
after(async () => {
  await app?.close();
  server.closeAllConnections();
  server.close();
});

const downloading = () => app.until(async () => (await native.jobs.list()).find(({ kind, progress }) => kind === "download" && progress?.done > 0));

/** The page of downloads, and one by an address that is begun there: the page waits for it. */
async function begun(language, name) {
  await app?.close();
  app = await start({ language });
  await app.until(() => app.has("#tab_mine"));
  await app.click("#tab_mine");
  await app.click("#mine_downloads");
  await app.until(() => app.has("#downloads_address"));
  await app.click("#downloads_address");
  await app.type("#address_url", `${address}/${name}`);
  await app.type("#address_digest", "0".repeat(64));
  await app.click("#address_done");
}

for (const language of ["base", "zh_CN"]) {
  test(`a download that is cancelled by its row is told as cancelled, and leaves neither a row nor an error (${language})`, async () => {
    await begun(language, `row-${language}.img`);
    const { id } = await downloading();
    await app.until(() => app.has(`#job_cancel_${id}`));
    await app.click(`#job_cancel_${id}`);
    await seen(app, language, "job_cancelled_of");
    await app.until(() => !app.has(`#job_cancel_${id}`) && !app.has("#job_bar"));
    // What the page waited for has ended as well: it can begin the next one.
    const { jobs } = await app.env.modules["viewmodel/Jobs"]();
    assert.equal(jobs().find(id), undefined);
    await app.until(async () => !(await native.jobs.list()).some((job) => job.id === id));
    await app.until(() => app.has(`[id='unfinished_resume_row-${language}.img']`));
    assert.ok(!app.has("#error_card"), app.texts().join(" | "));
  });
}

test("one that another page or program cancels is told the same", async () => {
  await begun("base", "elsewhere.img");
  const { id } = await downloading();
  await app.until(() => app.has(`#job_cancel_${id}`));
  await native.jobs.discard(id);
  await seen(app, "base", "job_cancelled_of");
  await app.until(() => !app.has(`#job_cancel_${id}`));
  assert.ok(!app.has("#error_card"));
});

test("a page that cancels its own work has no failure, and is free for the next", async () => {
  const { Work } = await app.env.modules["viewmodel/Work"]();
  const work = new Work();
  const done = work.does("load", async () => {
    await work.job(native.downloads.address(`${address}/own.img`, undefined, "0".repeat(64), []));
  });
  const { id } = await downloading();
  assert.equal(work.busy, "load");
  work.cancel();
  assert.equal(await done, false);
  assert.deepEqual([work.failure, work.busy, work.progress], [undefined, "", undefined]);
  await app.until(async () => !(await native.jobs.list()).some((job) => job.id === id));
  await app.until(() => !app.has(`#job_cancel_${id}`));
  assert.ok(await work.does("load", async () => {}));
});

test("one that fails is told as that: it stays until somebody has looked", async () => {
  refuses = true;
  await begun("base", "refused.img");
  await app.until(() => app.has("#error_card"));
  assert.ok(!app.texts().some((one) => text("base", "job_cancelled_of").test(one)));
  refuses = false;
});
