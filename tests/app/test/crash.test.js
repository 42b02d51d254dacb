// An app whose process is killed while a machine runs: the next one says so, shows why, and starts it again.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, test } from "node:test";
import { state } from "../../napi/lib/machines.js";
import { home, native, start } from "./lib/pages.js";

const here = dirname(fileURLToPath(import.meta.url));
let app;
after(() => app?.close());

test("a machine that was cut off tells it, with its report, and starts again", async () => {
  const other = spawn(process.execPath, [join(here, "../../napi/lib/runner.js"), home, "run"], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(other.stdout, "data");
  const { machine: id } = JSON.parse(String(line));
  other.kill("SIGKILL");
  await once(other, "exit");

  app = await start({ language: "zh_CN" });
  await app.until(() => app.has(`#machine_${id}`));
  await app.until(() => app.sees("上次意外退出，看看原因"));
  await app.click("victim");
  await app.until(() => app.has("#crash_card"));
  assert.ok(app.sees("“victim”意外退出"));
  await app.click("#crash_report");
  await app.until(async () => app.texts().length > 0 && !app.has("#crash_card"));
  await app.back();
  await app.until(() => app.has("#crash_start"));
  await app.click("#crash_start");
  await app.until(async () => (await state(id)) === "running", 60_000);
  await app.until(() => app.sees("触控板"));
});
