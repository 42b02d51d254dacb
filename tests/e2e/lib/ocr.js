// Reads a guest's screen as a person would.
import assert from "node:assert/strict";
import { join } from "node:path";
import { run, until } from "./processes.js";

/** Takes pictures until one carries all of the text. */
export async function screenWith(sampan, wanted, timeoutMs) {
  const picture = join(sampan.dir, "screen.png");
  let text = "";
  await until(async () => {
    await sampan.ctl("screenshot", picture);
    const read = await run("tesseract", [picture, "-", "--dpi", "150"], { env: { OMP_THREAD_LIMIT: "1" } });
    assert.equal(read.code, 0, `tesseract (package tesseract-ocr): ${read.stderr}`);
    text = read.stdout;
    return wanted.every((part) => part.test(text));
  }, () => `a screen with ${wanted.join(", ")}; the last one reads:\n${text}\n${sampan.log}`, timeoutMs, 2000);
}
