// Something nobody here wrote: the Debian installer, in text and in graphics, read off the screen by OCR and driven by keys.
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { screenWith } from "./lib/ocr.js";
import { run } from "./lib/processes.js";
import { Sampan } from "./lib/sampan.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
/** The graphical installer unpacks 60 MB on an emulated processor before it shows anything. */
const BOOT_MS = 400_000;

describe("the Debian installer", () => {
  let images;

  before(async () => {
    const fetched = await run(join(root, "scripts/installer"), [], { timeoutMs: 600_000 });
    assert.equal(fetched.code, 0, fetched.stderr);
    images = fetched.stdout.trim();
  }, { timeout: 600_000 });

  for (const kind of ["text", "gtk"]) {
    test(`${kind}: its first screens can be read, and a key leads on`, async () => {
      const sampan = await Sampan.start([
        "--name", `installer ${kind}`, "--arch", "x86_64", "--memory", "1536",
        "--kernel", join(images, kind, "linux"), "--initrd", join(images, kind, "initrd.gz"),
        "--append", "vga=788 no_timer_check --- quiet",
      ]);
      try {
        // English stands there too, but inverted, which OCR does not read.
        await screenWith(sampan, [/select a language/i, /Bosnian/, /Catalan/, /Danish/], BOOT_MS);
        await sampan.ctl("key", "ret");
        await screenWith(sampan, [/select your location/i, /United Kingdom/], BOOT_MS);
        await sampan.ctl("quit");
        assert.equal((await sampan.ended()).code, 0, sampan.log);
      } finally {
        await sampan.stop();
      }
    });
  }
});
