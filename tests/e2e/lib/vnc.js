// A small VNC client after RFC 6143.
import { createCipheriv } from "node:crypto";
import net from "node:net";
import { deadline } from "./processes.js";

/** DES with each byte of the key in the opposite order of bits (errata 4951), as triple DES with one key. */
function answer(challenge, password) {
  const key = Buffer.alloc(8);
  Buffer.from(password, "latin1").copy(key);
  const turned = key.map((byte) => [...Array(8).keys()].reduce((all, bit) => all | (((byte >> bit) & 1) << (7 - bit)), 0));
  const cipher = createCipheriv("des-ede3-ecb", Buffer.concat([turned, turned, turned]), null);
  return cipher.setAutoPadding(false).update(challenge);
}

/** Bytes in the order they come. */
class Bytes {
  #held = Buffer.alloc(0);
  #wanted;

  constructor(socket) {
    socket.on("data", (piece) => {
      this.#held = Buffer.concat([this.#held, piece]);
      this.#give();
    });
    socket.on("error", () => {});
    socket.on("close", () => this.#wanted?.reject(new Error("the server has hung up")));
  }

  #give() {
    if (!this.#wanted || this.#held.length < this.#wanted.count) return;
    const { count, resolve } = this.#wanted;
    this.#wanted = undefined;
    const taken = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    resolve(taken);
  }

  take(count) {
    return deadline(new Promise((resolve, reject) => {
      this.#wanted = { count, resolve, reject };
      this.#give();
    }), 60_000, `${count} bytes of the VNC server's`);
  }
}

/**
 * The whole way of a client (7.1 to 7.6): version, password, the screen's size and one picture of it. Without the right
 * password `refused` holds the server's words.
 */
export async function vnc(port, password) {
  const socket = net.connect(port, "127.0.0.1");
  const bytes = new Bytes(socket);
  try {
    const version = await bytes.take(12);
    socket.write(version);
    const [count] = await bytes.take(1);
    const kinds = [...(await bytes.take(count))];
    // VNC authentication (7.2.2).
    socket.write(Buffer.from([2]));
    socket.write(answer(await bytes.take(16), password));
    if ((await bytes.take(4)).readUInt32BE() !== 0) {
      const length = (await bytes.take(4)).readUInt32BE();
      return { version: version.toString(), kinds, refused: (await bytes.take(length)).toString() };
    }
    // Others may look, too.
    socket.write(Buffer.from([1]));
    const init = await bytes.take(24);
    const [width, height, depth] = [init.readUInt16BE(0), init.readUInt16BE(2), init[4]];
    const name = (await bytes.take(init.readUInt32BE(20))).toString();
    // All of the screen, as it is: raw pixels (7.7.1) in the server's own format.
    const request = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    request.writeUInt16BE(width, 6);
    request.writeUInt16BE(height, 8);
    socket.write(request);
    const [kind, , rectangles] = [...(await bytes.take(2)), (await bytes.take(2)).readUInt16BE()];
    let pixels = 0;
    const colours = new Set();
    for (let rectangle = 0; kind === 0 && rectangle < rectangles; rectangle++) {
      const head = await bytes.take(12);
      const size = head.readUInt16BE(4) * head.readUInt16BE(6);
      const data = await bytes.take((size * depth) / 8);
      for (let at = 0; at < data.length; at += depth / 8) colours.add(data.subarray(at, at + 3).toString("hex"));
      pixels += size;
    }
    return { version: version.toString(), kinds, width, height, name, pixels, colours: colours.size };
  } finally {
    socket.destroy();
  }
}
