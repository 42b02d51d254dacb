// The firmware's own screen, with nothing to start from.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { screenWith } from "./lib/ocr.js";
import { Sampan } from "./lib/sampan.js";

/** UEFI tries the network's absence and more before it gives up. */
const BOOT_MS = 240_000;

describe("firmware", () => {
  // UEFI on x86_64 starts the Debian of library.test.js.
  const cases = [
    ["aarch64", "uefi", [/BdsDxe|Boot|UEFI/i]],
    ["x86_64", "bios", [/SeaBIOS/, /No bootable device/i]],
  ];
  for (const [arch, firmware, words] of cases) {
    test(`${firmware} on ${arch} comes to its screen`, async () => {
      const sampan = await Sampan.start(["--arch", arch, "--memory", "512", "--firmware", firmware]);
      try {
        await screenWith(sampan, words, BOOT_MS);
        await sampan.ctl("quit");
        assert.equal((await sampan.ended()).code, 0, sampan.log);
      } finally {
        await sampan.stop();
      }
    });
  }
});
