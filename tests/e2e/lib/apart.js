// Another computer: a network namespace with a cable to this one, in which a browser runs. Needs root and iproute2; where either is
// refused the test fails with the reason.
import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { FarFirefox } from "./far.js";
import { folder, run, until } from "./processes.js";

/** A number of this process's own, so that several tests can each have another computer at a time. */
const NETWORK = process.pid % 250;

/** Addresses that are kept for tests between two networks (RFC 2544, appendix C.2.2). */
const HERE = `198.18.${NETWORK}.1`;
const THERE = `198.18.${NETWORK}.2`;

/** Addresses of a network of one's own (RFC 4193), which no router knows. */
const [HERE_6, THERE_6, MOVED_6] = [1, 2, 3].map((host) => `fd18:${(NETWORK + 1).toString(16)}::${host}`);

/** The table of routes that lead nowhere. */
const NOWHERE = "77";

async function ip(...args) {
  const { code, stderr } = await run("ip", args);
  assert.equal(code, 0, `ip ${args.join(" ")}: ${stderr}(network namespaces need root and the package iproute2)`);
}

export class Apart {
  /** This computer's address, as the other one reaches it. */
  here = HERE;
  there = THERE;
  here6 = HERE_6;
  there6 = THERE_6;
  /** Where it may move to. */
  elsewhere6 = MOVED_6;
  #name = `sampan-${process.pid}`;
  #cable = `sp${process.pid}`;
  #swallows = false;

  static async connect() {
    const apart = new Apart();
    const [near, far] = [`${apart.#cable}a`, `${apart.#cable}b`];
    await ip("netns", "add", apart.#name);
    try {
      await ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", apart.#name);
      await ip("addr", "add", `${HERE}/30`, "dev", near);
      // Without it an address counts only after a second, when nobody else has claimed it.
      await ip("addr", "add", `${HERE_6}/64`, "dev", near, "nodad");
      await ip("link", "set", near, "up");
      for (const words of [
        ["addr", "add", `${THERE}/30`, "dev", far], ["addr", "add", `${THERE_6}/64`, "dev", far, "nodad"],
        ["link", "set", far, "up"], ["link", "set", "lo", "up"],
      ]) {
        await ip("-n", apart.#name, ...words);
      }
      // The addresses that the kernel gives each end count a second later: to a browser that is another network, in the middle of a load.
      await until(async () => {
        const ends = await Promise.all([run("ip", ["-6", "addr", "show", "dev", near, "tentative"]),
          run("ip", ["-n", apart.#name, "-6", "addr", "show", "dev", far, "tentative"])]);
        return ends.every(({ code, stdout }) => code === 0 && stdout.trim() === "");
      }, "the cable's own addresses");
    } catch (error) {
      await apart.close();
      throw error;
    }
    return apart;
  }

  /** A browser over there, which a person has told to go on in spite of the certificate. */
  launch() {
    const program = process.env.SAMPAN_CHROMIUM || "/usr/bin/chromium";
    const wrapper = join(folder("apart"), "chromium");
    writeFileSync(wrapper, `#!/bin/sh\nexec ip netns exec ${this.#name} ${program} "$@"\n`);
    chmodSync(wrapper, 0o755);
    const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"];
    return chromium.launch({ executablePath: wrapper, headless: true, args });
  }

  /** The same with Firefox, which a person has told to go on, too. */
  launchFirefox(preferences = {}) {
    return FarFirefox.launch(["ip", "netns", "exec", this.#name], preferences);
  }

  /** A way over there that swallows what takes it. A rule that refuses it would fail the call that sends it, after which a browser gives its socket up. */
  async #nowhere() {
    if (this.#swallows) return;
    this.#swallows = true;
    for (const words of [
      // A cable to nobody who would forward anything.
      ["link", "add", "nowhere", "type", "veth", "peer", "name", "nobody"], ["link", "set", "nobody", "up"],
      ["link", "set", "nowhere", "arp", "off", "up"],
      ["-4", "route", "add", "default", "dev", "nowhere", "table", NOWHERE], ["-6", "route", "add", "default", "dev", "nowhere", "table", NOWHERE],
    ]) {
      await ip("-n", this.#name, ...words);
    }
  }

  /** A firewall over there that lets no UDP out, or does again. */
  async blockUdp(blocked = true) {
    await this.#nowhere();
    for (const family of ["-4", "-6"]) {
      await ip("-n", this.#name, family, "rule", blocked ? "add" : "del", "ipproto", "udp", "lookup", NOWHERE);
    }
  }

  /** A firewall over there that lets nothing out to this computer by IPv4 but to these ports of it: `[protocol, port]` each. */
  async only(...places) {
    await this.#nowhere();
    // As every device has one: a browser asks relays from the address that leads out.
    await ip("-n", this.#name, "route", "add", "default", "via", HERE);
    for (const [protocol, port] of places) {
      await ip("-n", this.#name, "-4", "rule", "add", "pref", "100", "to", HERE, "ipproto", protocol, "dport", String(port), "lookup", "main");
    }
    await ip("-n", this.#name, "-4", "rule", "add", "pref", "200", "to", HERE, "lookup", NOWHERE);
  }

  /** Another address over there in place of the one before, as after a change of networks. */
  async move6(there) {
    const far = `${this.#cable}b`;
    await ip("-n", this.#name, "addr", "add", `${there}/64`, "dev", far, "nodad");
    await ip("-n", this.#name, "addr", "del", `${this.there6}/64`, "dev", far);
    this.there6 = there;
  }

  async close() {
    // The cable goes with the namespace.
    await run("ip", ["netns", "del", this.#name]);
  }
}
