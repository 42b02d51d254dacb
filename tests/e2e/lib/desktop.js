// Debian's desktop agent for a guest without a desktop: its daemon and its session's agent run on this computer, with an X server that
// has no screen, and the guest passes the bytes of its virtio port on to them. So all that lies between a command and the agent is real.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { start, until } from "./processes.js";

/** In the guest: the port's bytes to this computer and back. */
const relay = (port) => String.raw`
  use strict; use IO::Socket::INET; use IO::Select;
  my $host = IO::Socket::INET->new(PeerAddr => "10.0.2.2:${port}") or die $@;
  open my $guest, '+<', '/dev/virtio-ports/com.redhat.spice.0' or die $!; binmode $guest;
  my $both = IO::Select->new($host, $guest);
  while (1) { for my $from ($both->can_read) {
    my $to = $from == $host ? $guest : $host;
    my $got = sysread $from, my $bytes, 65536;
    exit if $from == $host && !$got;
    if (!$got) { select undef, undef, undef, 0.05; next }
    for (my $at = 0; $at < $got; ) { $at += (syswrite $to, $bytes, $got - $at, $at or die $!) }
  } }`;

export class Desktop {
  #programs = [];
  #servers = [];
  #sockets = [];

  constructor(dir) {
    this.dir = dir;
    this.downloads = join(dir, "downloads");
    mkdirSync(this.downloads, { recursive: true });
  }

  /** Starts it for a guest of a library whose agent answers. */
  static async start(dir, library, vm) {
    const desktop = new Desktop(dir);
    const at = (name) => join(dir, name);
    const xvfb = desktop.#program("Xvfb", ["-displayfd", "1", "-screen", "0", "1920x1200x24", "-nolisten", "tcp"]);
    for await (const line of createInterface({ input: xvfb.stdout })) {
      desktop.display = line.trim();
      break;
    }
    assert.match(desktop.display, /^\d+$/, "the X server tells its number");
    // The guest connects by TCP, the daemon to what it takes for its port; whoever comes first waits.
    const sides = {};
    const joined = (name, socket) => {
      desktop.#sockets.push(socket);
      sides[name] = socket.on("error", () => socket.destroy());
      if (sides.guest && sides.daemon) sides.guest.pipe(sides.daemon).pipe(sides.guest);
    };
    const fromDaemon = await desktop.#listen(at("port"), (socket) => joined("daemon", socket));
    assert.equal(fromDaemon.address(), at("port"));
    const fromGuest = await desktop.#listen({ host: "127.0.0.1", port: 0 }, (socket) => joined("guest", socket));
    writeFileSync(at("uinput"), "");
    const daemon = existsSync("/usr/sbin/spice-vdagentd") ? "/usr/sbin/spice-vdagentd" : "spice-vdagentd";
    const sockets = ["-s", at("port"), "-S", at("session")];
    desktop.#program(daemon, ["-x", "-X", "-f", "-u", at("uinput"), ...sockets]);
    await until(() => existsSync(at("session")), "the agent's daemon: install the packages of scripts/packages.txt");
    const env = { ...process.env, DISPLAY: `:${desktop.display}` };
    delete env.WAYLAND_DISPLAY;
    desktop.#program("spice-vdagent", ["-x", "-f", desktop.downloads, "-o", "0", ...sockets], { env });
    const script = at("relay.pl");
    writeFileSync(script, relay(fromGuest.address().port));
    await library.json("file", "push", vm, script, "/run/relay.pl");
    await library.exec(vm, "sh", "-c", "setsid perl /run/relay.pl >/run/relay.log 2>&1 &");
    await until(async () => (await library.json("status", vm)).clipboard.agent, "Debian's agent to answer");
    return desktop;
  }

  #program(name, args, options) {
    const child = start(name, args, options);
    child.stderr.resume();
    this.#programs.push(child);
    return child;
  }

  #listen(where, took) {
    return new Promise((resolve, reject) => {
      const server = net.createServer(took).on("error", reject);
      this.#servers.push(server);
      server.listen(typeof where === "string" ? { path: where } : where, () => resolve(server));
    });
  }

  /** What was given to the desktop's user, by name. */
  files() {
    return Object.fromEntries(readdirSync(this.downloads).map((name) => [name, readFileSync(join(this.downloads, name))]));
  }

  /** Width and height of its screen, as its X server tells each client (X11's protocol, section 8, "Connection Setup"). */
  async size() {
    const socket = net.connect(`/tmp/.X11-unix/X${this.display}`);
    try {
      socket.write(Buffer.from([0x6c, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
      let answer = Buffer.alloc(0);
      for await (const piece of socket) {
        answer = Buffer.concat([answer, piece]);
        if (answer.length >= 8 && answer.length >= 8 + answer.readUInt16LE(6) * 4) break;
      }
      // The vendor's name and the formats of pixels come before the first screen.
      const screen = 40 + Math.ceil(answer.readUInt16LE(24) / 4) * 4 + answer[29] * 8;
      return [answer.readUInt16LE(screen + 20), answer.readUInt16LE(screen + 22)];
    } finally {
      socket.destroy();
    }
  }

  async stop() {
    for (const server of this.#servers) server.close();
    // The guest's side of it ends with its connection.
    for (const socket of this.#sockets) socket.destroy();
    for (const program of this.#programs.reverse()) {
      program.kill("SIGKILL");
      await program.exited;
    }
  }
}
