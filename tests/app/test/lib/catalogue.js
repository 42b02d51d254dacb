// A catalogue of one's own: what its entries name is small, bootable, and comes from a server of this test.
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { paintingDisk } from "../../../napi/lib/machines.js";

const SECTOR = 2048;

/** A CD that boots what the painting disk boots: El Torito, without emulation. */
function paintingDisc(disk) {
  const disc = Buffer.alloc(32 * SECTOR);
  const at = (sector) => disc.subarray(sector * SECTOR, (sector + 1) * SECTOR);
  at(16).write("\x01CD001\x01", "latin1");
  at(17).write("\x00CD001\x01EL TORITO SPECIFICATION", "latin1");
  at(17).writeUInt32LE(19, 0x47);
  at(18).write("\xffCD001\x01", "latin1");
  // The validation entry, whose words sum up to nothing, and the entry of the image.
  at(19)[0] = 1;
  at(19).writeUInt16LE(0x55aa, 28);
  at(19).writeUInt16LE(0xaa55, 30);
  at(19)[0x20] = 0x88;
  at(19).writeUInt16LE(4, 0x26);
  at(19).writeUInt32LE(20, 0x28);
  disk.copy(at(20), 0, 0, 512);
  return disc;
}

/**
 * Writes the catalogue of a library in `home`: a disk and a CD of the preset `old`. Comes to `{ disk, disc, pace, asked, close }`: the
 * entries' names, how the server answers ("all", "half" and then silence), and what was asked of it.
 */
export async function ownCatalogue(home) {
  mkdirSync(home, { recursive: true });
  const image = Buffer.alloc(8 << 20);
  readFileSync(paintingDisk(home)).copy(image);
  const files = { "/painting.raw": image, "/painting.iso": paintingDisc(image) };
  const state = { pace: "all", asked: [], disk: "painter-1.0", disc: "alpine-1.0" };
  const server = createServer((request, response) => {
    const content = files[request.url];
    if (!content) return response.writeHead(404).end();
    const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
    state.asked.push([request.url, from]);
    response.writeHead(from ? 206 : 200, {
      "content-length": content.length - from, "accept-ranges": "bytes", etag: '"1"',
      ...(from && { "content-range": `bytes ${from}-${content.length - 1}/${content.length}` }),
    });
    return state.pace === "half" ? response.write(content.subarray(from, from + ((content.length - from) >> 1))) : response.end(content.subarray(from));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const entry = (id, name, path, more) => ({
    id, name, version: "1", arch: "x86_64", preset: "old", firmware: "bios", cloud_init: false, about_mib: 8, login: "root without a password.", ...more,
    source: {
      address: { url: `http://127.0.0.1:${server.address().port}${path}`, digest: `sha256:${createHash("sha256").update(files[path]).digest("hex")}` },
    },
  });
  const entries = [
    entry(state.disk, "Painter 1, ready disk", "/painting.raw", { kind: "disk", format: "raw", account: "root-console", featured: true }),
    entry(state.disc, "Alpine 1, for tests", "/painting.iso", { kind: "installer", format: "iso", account: "root-live" }),
  ];
  writeFileSync(join(home, "catalogue.json"), JSON.stringify({ version: 1, date: "2026-11-29", entries }));
  state.close = () => {
    server.closeAllConnections();
    server.close();
  };
  return state;
}
