// Small machines to try things with.
import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inflateSync } from "node:zlib";
import { native, tinyGuest, until } from "./module.js";

/**
 * A disk whose boot sector paints the whole screen in the colour of the last key, as far as the low four bits of its ASCII
 * code go; green before the first one.
 */
export function paintingDisk(folder) {
  const code = [
    0xb8, 0x13, 0x00, 0xcd, 0x10, // mov ax, 13h; int 10h: 320 × 200, 256 colours
    0xb8, 0x00, 0xa0, 0x8e, 0xc0, // mov ax, a000h; mov es, ax
    0xb0, 0x02, // mov al, 2: green
    0x31, 0xff, 0xb9, 0x00, 0xfa, 0xf3, 0xaa, // xor di, di; mov cx, 64000; rep stosb
    0x30, 0xe4, 0xcd, 0x16, // xor ah, ah; int 16h: wait for a key
    0x24, 0x0f, // and al, 0fh
    0xeb, 0xf1, // jmp to the painting
  ];
  const disk = Buffer.alloc(1 << 20);
  Buffer.from(code).copy(disk);
  disk.writeUInt16LE(0xaa55, 510);
  const path = join(folder, "painting.img");
  writeFileSync(path, disk);
  return path;
}

/** Lends a file to `use` as a picker does: a descriptor, closed when it is done. */
export async function lent(path, name, use, flags = "r") {
  const fd = openSync(path, flags);
  try {
    return await use({ fd, name });
  } finally {
    closeSync(fd);
  }
}

/** What a person chooses for the smallest machine. */
export function smallest(name, more = {}) {
  return { name, preset: "old", arch: "x86_64", cpus: 1, memory: 64, disk: 0, ...more };
}

/** A machine that paints its screen. */
export function paintingMachine(home, name) {
  return lent(paintingDisk(home), "painting.img", async (file) =>
    (await native.machines.create(smallest(name, { disk: undefined, file }), []).run()).id);
}

/** A machine that starts the tiny guest, whose console is the serial port. */
export async function tinyMachine(name, more = "") {
  const { kernel, initrd } = tinyGuest();
  const media = await native.media.list();
  for (const [medium, path] of [["tiny-kernel", kernel], ["tiny-initrd", initrd]]) {
    if (!media.some((one) => one.name === medium)) {
      await lent(path, medium, (file) => native.media.add(file, ["not_a_medium"]).run());
    }
  }
  const draft = { ...smallest(name), preset: "linux", memory: 128 };
  const { id } = await native.machines.create(draft, []).run();
  const value = JSON.stringify({ kernel: "tiny-kernel", initrd: "tiny-initrd", append: `console=ttyS0 no_timer_check ${more}` });
  const changes = [{ field: "firmware.kernel", value }, { field: "firmware.kind", value: "bios" }];
  await native.machines.change(id, changes, []);
  return id;
}

/** The pixels of a PNG file of 8-bit RGB or RGBA, as rows of [r, g, b]. */
export function pixels(png) {
  const file = Buffer.from(png);
  const [width, height] = [file.readUInt32BE(16), file.readUInt32BE(20)];
  const channels = { 2: 3, 6: 4 }[file[25]];
  const parts = [];
  for (let at = 8; at < file.length; ) {
    const length = file.readUInt32BE(at);
    if (file.toString("latin1", at + 4, at + 8) === "IDAT") parts.push(file.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  const raw = inflateSync(Buffer.concat(parts));
  const stride = width * channels;
  const rows = Buffer.alloc(stride * height);
  // RFC 2083, section 6: each byte is told by its neighbours to the left, above, and above to the left.
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)];
    for (let x = 0; x < stride; x++) {
      const value = raw[y * (stride + 1) + 1 + x];
      const left = x >= channels ? rows[y * stride + x - channels] : 0;
      const above = y > 0 ? rows[(y - 1) * stride + x] : 0;
      const corner = x >= channels && y > 0 ? rows[(y - 1) * stride + x - channels] : 0;
      const guess = left + above - corner;
      const near = [left, above, corner].reduce((best, one) => Math.abs(guess - one) < Math.abs(guess - best) ? one : best);
      rows[y * stride + x] = value + [0, left, above, (left + above) >> 1, near][filter];
    }
  }
  return { width, height, at: (x, y) => [...rows.subarray(y * stride + x * channels, y * stride + x * channels + 3)] };
}

/** The colours of the painting machine, by their number in VGA's palette. */
export const colours = { green: [0, 0xa8, 0], red: [0xa8, 0, 0], blue: [0, 0, 0xa8] };

/** Waits until the machine's picture has one colour from edge to edge. */
export function painted(id, colour) {
  return until(`${id} paints ${colour}`, async () => {
    const { at, width, height } = pixels((await native.machines.thumbnail(id)).png);
    return [[0, 0], [width - 1, height - 1], [width >> 1, height >> 1]].every(
      ([x, y]) => String(at(x, y)) === String(colours[colour]));
  });
}

/** The state of a machine, as the list has it. */
export async function state(id) {
  return (await native.machines.list()).find((one) => one.id === id)?.state;
}
