// Talks to the tiny guest over its virtio-serial port; the protocol is in tests/guest/PROTOCOL.md.
import { once } from "node:events";
import { existsSync } from "node:fs";
import net from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { deadline, sleep } from "./processes.js";

/** Where scripts/guest puts the built guest; SAMPAN_GUEST_DIR names another folder. */
export function guestFiles(arch) {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), ".cache");
  const root = process.env.SAMPAN_GUEST_DIR || join(cache, "sampan/guest/current");
  const kernel = join(root, arch, "kernel");
  const initrd = join(root, arch, "initrd");
  if (!existsSync(kernel) || !existsSync(initrd)) {
    throw new Error(`the ${arch} guest is not built (${kernel}): run scripts/guest first`);
  }
  return { kernel, initrd };
}

/** QEMU arguments that give the guest its port. */
export function guestPortArgs(socket) {
  return [
    "-device", "virtio-serial-pci",
    "-chardev", `socket,id=guest,path=${socket},server=on,wait=off`,
    "-device", "virtserialport,chardev=guest,name=sampan.guest",
  ];
}

export class Guest {
  #socket;
  #nextId = 1;
  #answers = new Map();
  #watchers = new Set();
  /** Everything the guest said that was no answer, oldest first; bounded. */
  events = [];

  /** Connects as soon as QEMU has made the socket, and waits for the guest's hello. */
  static async connect(path, timeoutMs = 120_000) {
    const guest = new Guest();
    const end = Date.now() + timeoutMs;
    for (;;) {
      try {
        const socket = net.connect(path);
        await once(socket, "connect");
        guest.#take(socket);
        break;
      } catch (error) {
        if (Date.now() > end) throw new Error(`the guest's port never came: ${error.message}`);
        await sleep(50);
      }
    }
    // The hello is lost when the guest's driver is not up yet, so it is asked until it answers.
    while (!(await guest.#answersSoon())) {
      if (Date.now() > end) throw new Error("the guest never answered on its port");
    }
    return guest;
  }

  /** The same of a guest whose port QEMU connects to this server. */
  static async behind(server, timeoutMs = 120_000) {
    const guest = new Guest();
    const [socket] = await deadline(once(server, "connection"), timeoutMs, "QEMU to connect the guest's port");
    guest.#take(socket);
    const end = Date.now() + timeoutMs;
    while (!(await guest.#answersSoon())) {
      if (Date.now() > end) throw new Error("the guest never answered on its port");
    }
    return guest;
  }

  #take(socket) {
    this.#socket = socket;
    socket.on("error", () => socket.destroy());
    createInterface({ input: socket }).on("line", (line) => this.#heard(line));
  }

  async #answersSoon() {
    try {
      await this.ask({ cmd: "time" }, 1000);
      return true;
    } catch {
      return false;
    }
  }

  #heard(line) {
    const now = process.hrtime.bigint();
    let message;
    try {
      message = JSON.parse(line);
    } catch {
      return;
    }
    // Not of what the guest has recorded, which has that name, too.
    message.heard ??= now;
    const waiting = message.id === undefined ? undefined : this.#answers.get(message.id);
    if (waiting) {
      this.#answers.delete(message.id);
      waiting(message);
      return;
    }
    this.events.push(message);
    if (this.events.length > 200_000) this.events.splice(0, 100_000);
    for (const watcher of this.#watchers) watcher(message);
  }

  /** Sends a command and waits for its answer. */
  async ask(command, timeoutMs = 30_000) {
    const id = this.#nextId++;
    const answer = new Promise((resolve) => this.#answers.set(id, resolve));
    this.#socket.write(`${JSON.stringify({ ...command, id })}\n`);
    try {
      return await deadline(answer, timeoutMs, `the guest's answer to ${command.cmd}`);
    } finally {
      this.#answers.delete(id);
    }
  }

  workload(name, fps) {
    return this.ask({ cmd: "workload", name, ...(fps === undefined ? {} : { fps }) });
  }

  async state() {
    return (await this.ask({ cmd: "state" })).state;
  }

  /** Waits for an event that fits, among those heard since `from` (an index into `events`). */
  async event(fits, what, { from = this.events.length, timeoutMs = 30_000 } = {}) {
    const already = this.events.slice(from).find(fits);
    if (already) return already;
    let watcher;
    const found = new Promise((resolve) => {
      watcher = (message) => {
        if (fits(message)) resolve(message);
      };
      this.#watchers.add(watcher);
    });
    try {
      return await deadline(found, timeoutMs, what);
    } finally {
      this.#watchers.delete(watcher);
    }
  }

  /**
   * The guest's clock against ours (CLOCK_MONOTONIC, nanoseconds): `offset` is to be added to a
   * guest's time, and is off by at most `error`, half the quickest of many round trips.
   */
  async clock(rounds = 200) {
    let best;
    for (let i = 0; i < rounds; i++) {
      const sent = process.hrtime.bigint();
      const { time_ns: guest, heard } = await this.ask({ cmd: "time" });
      const trip = heard - sent;
      if (best === undefined || trip < best.trip) {
        best = { trip, offset: Number((sent + heard) / 2n) - guest };
      }
    }
    return { offset: best.offset, error: Number(best.trip) / 2 };
  }

  close() {
    this.#socket?.destroy();
  }
}
