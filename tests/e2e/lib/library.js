// A library of machines, worked on by the program, and the Debian guest that is put into it.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import net from "node:net";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { run, until } from "./processes.js";
import { program } from "./sampan.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
/** An emulated processor on a busy machine. */
const BOOT_MS = 300_000;

/** The image of the Debian guest (docs/guests.md), which is built if it is not there yet. */
export async function debian(flavour = "plain") {
  const built = await run(join(root, "scripts/guest/disk"), ["--flavour", flavour], { timeoutMs: 900_000 });
  assert.equal(built.code, 0, built.stderr);
  return built.stdout.trim();
}

/**
 * A clipboard's agent in Perl: it has "in the guest" once there is /run/copy, and writes down what it is offered. Debian's own is
 * tried in native/vdagent, without a machine; here it is played, so that no desktop is needed.
 */
export const CLIPBOARD_AGENT = String.raw`
    use strict; my ($serial, $caps) = (0, 0x32460);
    open my $port, '+<', '/dev/virtio-ports/com.redhat.spice.0' or die $!; binmode $port;
    sub tell_it { my ($kind, $body) = @_; my $all = pack('V5', 1, $kind, 0, 0, length $body) . $body; syswrite $port, pack('VV', 1, length $all) . $all }
    sub need { my ($n, $got) = (shift, ''); while (length $got < $n) { sysread($port, $got, $n - length $got, length $got) or select undef, undef, undef, 0.05 } $got }
    sub hear { my $all = ''; while (1) { my (undef, $n) = unpack 'VV', need(8); $all .= need($n); my @head = unpack 'V5', $all;
      return ($head[1], substr $all, 20) if length $all >= 20 && length $all >= 20 + $head[4] } }
    tell_it(6, pack 'VV', 1, $caps);
    while (my ($kind, $body) = hear()) {
      my @words = unpack 'V3', $body;
      if ($kind == 6 && $words[0]) { $serial = 0; tell_it(6, pack 'VV', 0, $caps) }
      if ($kind == 7 && !$words[0]) { $serial = $words[1] + 1; tell_it(8, pack 'VV', 0, $words[2]) }
      if ($kind == 4) { open my $file, '>>', '/run/pasted' or die; print $file substr($body, 8) . "\0" }
      if ($kind == 8) { tell_it(4, pack('VV', 0, $words[1]) . "in the guest") }
      if (-e '/run/copy') { unlink '/run/copy'; tell_it(7, pack 'V3', 0, $serial++, 1) }
    }`;

/** One library and the program that works on it. */
export class Library {
  constructor(home) {
    this.home = home;
    mkdirSync(home, { recursive: true });
  }

  /** Arguments, and at their end, if need be, what the program reads. */
  run(...args) {
    const { input } = typeof args.at(-1) === "object" ? args.pop() : {};
    return run(program, args, { env: { SAMPAN_HOME: this.home }, timeoutMs: 120_000, input });
  }

  /** A command that must succeed, its answer read. */
  async json(...args) {
    const { code, stdout, stderr } = await this.run("--json", ...args);
    assert.equal(code, 0, `sampan ${args.join(" ")}: ${stdout}${stderr}`);
    return JSON.parse(stdout);
  }

  /** A command that must fail, in these words. */
  async refused(words, ...args) {
    const { code, stderr } = await this.run(...args);
    assert.equal(code, 1, `sampan ${args.join(" ")} was to be refused`);
    assert.match(stderr, words);
  }

  /** What a program in the guest prints, which must end well. */
  async exec(vm, ...command) {
    const { code, stdout, stderr } = await this.json("exec", vm, "--", ...command);
    assert.equal(code, 0, `${command.join(" ")}: ${stdout}${stderr}`);
    return stdout;
  }

  /** What the guest's shell says to something that it must not be able to do. */
  async fails(vm, line) {
    const { code, stdout, stderr } = await this.run("exec", vm, "--", "sh", "-c", line);
    assert.notEqual(code, 0, `${line} was to fail in the guest: ${stdout}`);
    return stdout + stderr;
  }

  /** Until the guest's agent answers. */
  booted(vm) {
    return until(async () => (await this.run("exec", vm, "--", "true")).code === 0,
      `${vm} to boot, see its logs in ${this.home}`, BOOT_MS, 1000);
  }

  async stopAll() {
    const list = JSON.parse((await this.run("--json", "list")).stdout || "[]");
    for (const { name, state } of list) {
      if (state !== "stopped") await this.run("stop", name, "--force");
    }
  }
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer().on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
