// A real Debian on a disk through all that a library is for: made, booted, kept, broken, restored, cloned, exported,
// imported elsewhere, grown and seen grown from inside.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  closeSync, existsSync, openSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync,
} from "node:fs";
import net from "node:net";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Viewer, launch } from "./lib/browser.js";
import { CLIPBOARD_AGENT, Library, debian, freePort } from "./lib/library.js";
import { Desktop } from "./lib/desktop.js";
import { folder, start, until } from "./lib/processes.js";
import { program } from "./lib/sampan.js";
import { heard, writeTone } from "./lib/wave.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const GIB = 2 ** 30;
/** What an emulated guest on a busy machine may need for anything. */
const PATIENCE_MS = 120_000;

/** What somebody behind a port says before he hangs up; undefined where nobody is. */
function said(port) {
  return new Promise((resolve) => {
    let text = "";
    const socket = net.connect(port, "127.0.0.1");
    socket.setTimeout(5000, () => socket.destroy());
    socket.setEncoding("utf8").on("data", (piece) => (text += piece));
    socket.on("error", () => resolve(undefined)).on("close", () => resolve(text));
  });
}

describe("a Debian guest in the library", () => {
  let disk, here, elsewhere;
  const dir = folder("library");

  before(async () => {
    disk = await debian();
    // A name that sockets have no room for.
    here = new Library(join(dir, "a-home-with-a-long-name".repeat(4), "sampan"));
    elsewhere = new Library(join(dir, "elsewhere"));
  }, { timeout: 900_000 });

  after(async () => {
    await here?.stopAll();
    await elsewhere?.stopAll();
    rmSync(dir, { recursive: true, force: true });
  });

  test("is made from an image and listed", async () => {
    await here.json("new", "debian", "--image", disk, "--memory", "768M", "--cpus", "2", "--arch", "x86_64");
    await here.refused(/already/, "new", "Debian", "--no-disk", "--arch", "x86_64");
    const [vm] = await here.json("list");
    assert.deepEqual([vm.name, vm.state, vm.memory_mib], ["debian", "stopped", 768]);
  });

  test("boots, is seen in a browser, and its agent answers", async () => {
    const { viewer } = await here.json("start", "debian");
    await here.refused(/runs already/, "start", "debian");
    await here.booted("debian");
    assert.match(await here.exec("debian", "cat", "/etc/os-release"), /Debian/);
    assert.equal((await here.run("exec", "debian", "--", "sh", "-c", "exit 7")).code, 7);
    const browser = await launch();
    try {
      const page = await Viewer.open(browser, viewer);
      await page.connected();
      await until(async () => (await page.sizes()).video[0] > 0, "a picture");
    } finally {
      await browser.close();
    }
  });

  test("is snapshotted with its memory, broken and restored to the very moment", async () => {
    await here.exec("debian", "sh", "-c", "echo good >/root/state; sync; echo 1 >/run/only-in-memory");
    await here.json("snapshot", "create", "debian", "good", "--note", "before it was broken");
    await here.exec("debian", "sh", "-c", "rm -rf /root/state /bin/ls /etc/passwd; sync; rm /run/only-in-memory");
    await here.refused(/runs/, "snapshot", "restore", "debian", "good", "--yes");
    await here.json("stop", "debian", "--force");
    await here.refused(/lost/, "snapshot", "restore", "debian", "good");
    await here.json("snapshot", "restore", "debian", "good", "--keep", "broken");
    await here.json("start", "debian");
    // No boot: it goes on where it was.
    assert.equal((await here.exec("debian", "cat", "/root/state", "/run/only-in-memory")).trim(), "good\n1");
    const { snapshots, current } = await here.json("snapshot", "list", "debian");
    const [good, broken] = ["good", "broken"].map((name) => snapshots.find((s) => s.name === name));
    assert.equal(broken.parent, good.id);
    assert.equal(current, good.id);
    assert.ok(good.memory && good.picture);
    await here.json("snapshot", "picture", "debian", "good", join(dir, "good.png"));
    assert.ok(statSync(join(dir, "good.png")).size > 100);
  });

  test("its disk grows while it runs, seen from inside", async () => {
    const size = async () => Number((await here.exec("debian", "lsblk", "-bndo", "SIZE", "/dev/vda")).trim());
    const before = await size();
    await here.json("disk", "grow", "debian", "disk0", "+1G");
    await until(async () => (await size()) === before + GIB, "the guest to see it");
    await here.exec("debian", "sh", "-c",
      "growpart /dev/vda 2 && resize2fs /dev/vda2 || { p=$(findmnt -no SOURCE /); growpart /dev/vda ${p##*[a-z]}; resize2fs $p; }");
    const [fs] = (await here.exec("debian", "df", "-B1", "--output=size", "/")).match(/\d{6,}/);
    assert.ok(Number(fs) > before * 0.95, `the file system has ${fs} bytes`);
  });

  test("ports lead to it at once, and files go both ways", async () => {
    const port = await freePort();
    const greeter = "$s = IO::Socket::INET->new(LocalPort => 7777, Listen => 1, ReuseAddr => 1) or die; " +
      'while ($c = $s->accept) { print $c "ahoy\\n"; close $c }';
    await here.exec("debian", "sh", "-c", `perl -MIO::Socket::INET -e '${greeter}' >/dev/null 2>&1 &`);
    await here.json("forward", "add", "debian", `tcp:${port}:7777`);
    await here.refused(/forward/, "forward", "add", "debian", `tcp:${port}:22`);
    assert.deepEqual(await here.json("forward", "list", "debian"), [`tcp:127.0.0.1:${port}:7777`]);
    await until(async () => (await said(port)) === "ahoy\n", "the guest's greeting");
    await here.json("forward", "remove", "debian", `tcp:${port}:7777`);
    assert.equal(await said(port), undefined, "nobody listens any more");

    await here.json("file", "push", "debian", join(root, "README.md"), "/root/readme");
    await here.json("file", "pull", "debian", "/root/readme", join(dir, "readme"));
    assert.equal(statSync(join(dir, "readme")).size, statSync(join(root, "README.md")).size);
    await here.refused(/there is a file/, "file", "pull", "debian", "/root/readme", join(dir, "readme"));
  });

  /** A request to the machine by its socket; `told` hears of its progress and may answer with another line. */
  const asked = (request, told = () => {}) => new Promise((resolve, reject) => {
    const vms = join(here.home, "vms");
    // Its name is too long for a socket's: by the open folder.
    const folder = openSync(join(vms, readdirSync(vms)[0], "run"), "r");
    const socket = net.connect(`/proc/self/fd/${folder}/control`, () => closeSync(folder));
    socket.on("error", reject);
    createInterface({ input: socket }).on("line", (line) => {
      const answer = JSON.parse(line);
      if (answer.progress) return told(answer.progress, socket);
      socket.destroy();
      resolve(answer);
    });
    socket.write(`${JSON.stringify({ version: 2, ...request })}\n`);
  });

  const sparse = (name, size) => {
    const path = join(dir, name);
    writeFileSync(path, "");
    truncateSync(path, size);
    return path;
  };

  test("is given files by the guest agent where no desktop's answers", async () => {
    const file = join(dir, "报告 [1].txt");
    writeFileSync(file, "for you\n");
    const given = await here.json("file", "push", "debian", file);
    assert.deepEqual([given.way, given.to], ["agent", "/var/tmp/报告 [1].txt"]);
    const second = await here.json("file", "push", "debian", file);
    assert.equal(second.to, "/var/tmp/报告 [1] (2).txt", "what is there stays");
    assert.equal(await here.exec("debian", "cat", second.to), "for you\n");
    // What does not fit is told before a byte of it goes, with what is free.
    const vast = sparse("vast", 64 * GIB);
    await here.refused(/too little free space.*MiB are left/, "file", "push", "debian", vast);
    await here.refused(/too little free space/, "file", "push", "debian", vast, "/root/vast");
    // What has no end is refused, and nobody waits for the other end of it.
    execFileSync("mkfifo", [join(dir, "fifo")]);
    for (const none of [join(dir, "fifo"), "/dev/zero", dir]) {
      await here.refused(/no ordinary file/, "file", "push", "debian", none);
      await here.refused(/no ordinary file/, "file", "push", "debian", none, "/root/none");
    }
    // Its progress is told, and who cancels leaves nothing of it in the guest.
    const large = sparse("large.bin", 200 * 2 ** 20);
    const seen = [];
    const { error } = await asked({ command: "push", from: large }, (progress, socket) => {
      seen.push(progress);
      if (progress.done > 0 && seen.length > 1) socket.write('{"version":2,"command":"cancel"}\n');
    });
    assert.equal(error?.code, "cancelled");
    assert.ok(seen.every(({ phase, total, done }) => phase === "copy" && total === 200 * 2 ** 20 && done <= total), JSON.stringify(seen));
    const left = () => here.exec("debian", "sh", "-c", "ls /var/tmp");
    await until(async () => !/large/.test(await left()), "what there is of it to be removed");
  });

  test("what it plays is heard, and it records what it is given and silence otherwise", async () => {
    await here.exec("debian", "sh", "-c",
      "amixer -q sset Master 100% unmute; amixer -q sset Capture 100% cap; aplay -l | grep -q card");
    assert.equal((await here.json("status", "debian")).sound.playing, false);
    const [tone, question, heardFile, recorded] = ["tone", "question", "heard", "recorded"].map((n) => join(dir, `${n}.wav`));
    writeTone(tone, { hz: 440, seconds: 2, level: 0.5, hole: [0.8, 1.2] });
    await here.json("file", "push", "debian", tone, "/run/tone.wav");
    // On a busy host QEMU itself loses pieces of sound now and then; what is ours is tested by clocks that tests set.
    await until(async () => {
      const listener = start(program, ["sound", "debian", "--to", heardFile], { env: { ...process.env, SAMPAN_HOME: here.home } });
      listener.stdout.resume();
      listener.stderr.resume();
      await until(() => existsSync(heardFile) && statSync(heardFile).size > 10_000, "somebody to listen");
      await here.exec("debian", "aplay", "-q", "/run/tone.wav");
      await until(async () => !(await here.json("status", "debian")).sound.playing, "the guest to end");
      listener.kill("SIGINT");
      await listener.exited;
      const sound = heard(heardFile);
      console.log(JSON.stringify(sound));
      rmSync(heardFile);
      return Math.abs(sound.hz - 440) < 5 && Math.abs(sound.peak - 16_384) < 1_000 && Math.abs(sound.seconds - 2) < 0.1 &&
        sound.gaps.length === 1 && Math.abs(sound.gaps[0].at - 0.8) < 0.05 && Math.abs(sound.gaps[0].seconds - 0.4) < 0.05;
    }, "the tone and the silence in it to be heard", PATIENCE_MS);

    const record = async () => {
      await here.exec("debian", "arecord", "-q", "-d", "1", "-f", "S16_LE", "-r", "48000", "-c", "2", "/run/recorded.wav");
      rmSync(recorded, { force: true });
      await here.json("file", "pull", "debian", "/run/recorded.wav", recorded);
      return heard(recorded);
    };
    const nothing = await record();
    assert.ok(nothing.length > 0.9, JSON.stringify(nothing));
    assert.equal(nothing.peak, 0, "the microphone is not allowed, and nobody gives it anything");
    writeTone(question, { hz: 700, seconds: 100, level: 0.4 });
    await until(async () => {
      const speaker = start(program, ["sound", "debian", "--from", question], { env: { ...process.env, SAMPAN_HOME: here.home } });
      speaker.stdout.resume();
      speaker.stderr.resume();
      const sound = await record();
      speaker.kill("SIGINT");
      await speaker.exited;
      console.log(JSON.stringify(sound));
      return Math.abs(sound.hz - 700) < 10 && Math.abs(sound.peak - 13_107) < 1_500 && sound.seconds > 0.7 && sound.gaps.length === 0;
    }, "the guest to record what it was given", PATIENCE_MS);
    assert.equal((await record()).peak, 0, "and silence again");
  });

  test("Debian's desktop agent gets the viewer's size and files", async () => {
    const before = await until(async () => {
      const status = await here.json("status", "debian");
      return status.agent && status;
    }, "the guest's agent to be known");
    const feature = (status, name) => status.features.find((one) => one.feature === name);
    assert.equal(feature(before, "clipboard").state, "no-agent");
    assert.deepEqual(feature(before, "clipboard").install, [{ system: "debian", line: "apt install spice-vdagent" }]);
    assert.equal(feature(before, "agent").state, "works");
    const desktop = await Desktop.start(join(dir, "desktop"), here, "debian");
    const browser = await launch();
    try {
      const status = await here.json("status", "debian");
      for (const name of ["clipboard", "files", "sizes"]) assert.equal(feature(status, name).state, "works", name);
      // A viewer's window has its size.
      const viewer = await Viewer.open(browser, before.viewer, { width: 1000, height: 700 });
      await viewer.connected();
      let last;
      const told = (what) => until(async () => {
        const size = String(await desktop.size());
        return size !== last && (last = size);
      }, what);
      await until(async () => String(await desktop.size()) !== "1920,1200", "the viewer's size");
      last = String(await desktop.size());
      await viewer.page.setViewportSize({ width: 1234, height: 777 });
      await told("the next size of the viewer's");
      await viewer.close();
      // And one that is asked for by a command.
      const { error } = await asked({ command: "resize", width: 808, height: 603 });
      assert.equal(error, undefined);
      await until(async () => String(await desktop.size()) === "808,603", "the size that was asked for");

      const file = join(dir, "for the desktop.bin");
      writeFileSync(file, Buffer.alloc(3 << 20, "desktop"));
      const given = await here.json("file", "push", "debian", file);
      assert.deepEqual([given.way, given.to, given.bytes], ["desktop", null, 3 << 20]);
      assert.ok(desktop.files()["for the desktop.bin"].equals(Buffer.alloc(3 << 20, "desktop")));
      // Cancelled, it leaves nothing.
      const large = sparse("large.bin", GIB);
      const cancelled = await asked({ command: "push", from: large }, ({ done }, socket) => {
        if (done > 0) socket.write('{"version":2,"command":"cancel"}\n');
      });
      assert.equal(cancelled.error?.code, "cancelled");
      await until(() => !("large.bin" in desktop.files()), "what there is of it to be removed");
    } finally {
      await browser.close();
      await desktop.stop();
    }
  });

  const pasted = (what) => until(
    async () => (await here.run("exec", "debian", "--", "cat", "/run/pasted")).stdout.split("\0").includes(what),
    `the guest to paste ${what}`);
  const clipboard = async () => (await here.json("status", "debian")).clipboard;

  test("shares its clipboard once it has an agent, and is typed into what no key can type", async () => {
    await until(async () => !(await clipboard()).agent, "the desktop's agent to be gone");
    await here.refused(/no clipboard agent/, "clipboard", "get", "debian");
    await here.refused(/spice-vdagent/, "type", "debian", "中文");
    const script = join(dir, "agent.pl");
    writeFileSync(script, CLIPBOARD_AGENT);
    await here.json("file", "push", "debian", script, "/run/agent.pl");
    await here.exec("debian", "sh", "-c", "setsid perl /run/agent.pl >/run/agent.log 2>&1 &");
    await until(async () => (await clipboard()).agent, "the agent to answer");
    const set = await here.run("clipboard", "set", "debian", { input: "中文 😀\nzwei" });
    assert.equal(set.code, 0, set.stderr);
    await pasted("中文 😀\nzwei");
    // What it copies is told, and asked for when somebody wants it.
    await here.exec("debian", "touch", "/run/copy");
    await here.run("clipboard", "set", "debian", { input: "next" });
    await until(async () => (await clipboard()).copied === 1, "the guest to copy");
    assert.deepEqual((await clipboard()).kinds, ["text"]);
    assert.deepEqual(await here.json("clipboard", "get", "debian"), { text: "in the guest" });
    await here.json("type", "debian", "汉字");
    await pasted("汉字");
    assert.deepEqual(await here.json("clipboard", "get", "debian"), { text: "in the guest" }, "it was given back");
    assert.deepEqual((await here.json("set", "debian", "input.clipboard=off")).now, ["input"]);
    await here.refused(/takes nothing/, "clipboard", "set", "debian", { input: "x" });
    await here.refused(/no key/, "type", "debian", "汉字");
    await here.json("set", "debian", "input.clipboard=both");
  });

  test("is suspended to disk and resumed, also after its supervisor was killed in between", async () => {
    await here.exec("debian", "sh", "-c", "echo still >/run/here");
    await here.json("suspend", "debian");
    assert.equal((await here.json("list"))[0].state, "suspended");
    await here.refused(/suspended/, "set", "debian", "memory=1G");
    const { pid } = await here.json("start", "debian");
    assert.equal((await here.exec("debian", "cat", "/run/here")).trim(), "still");
    // Its clipboard's port was open all the while, and its agent learns of the new other end.
    await until(async () => (await clipboard()).agent, "the agent to answer again");
    assert.equal((await here.run("clipboard", "set", "debian", { input: "after" })).code, 0);
    await pasted("after");
    process.kill(pid, "SIGKILL");
    await until(async () => (await here.json("list"))[0].state === "stopped", "the machine to be free");
    // As after a power failure: it boots, and what was synced is there.
    await here.json("start", "debian");
    await here.booted("debian");
    assert.equal((await here.exec("debian", "cat", "/root/state")).trim(), "good");
    await here.json("stop", "debian", "--timeout", "120");
  });

  test("a run that leaves no trace leaves none", async () => {
    await here.json("start", "debian", "--throw-away");
    await here.booted("debian");
    await here.exec("debian", "sh", "-c", "echo bad >/root/state; sync");
    await here.refused(/no trace/, "snapshot", "create", "debian", "x");
    await here.json("stop", "debian", "--force");
    const images = await here.json("disk", "info", "debian");
    assert.equal(images.drives.length, 2);
  });

  test("is cloned, exported, and imported elsewhere, where it boots with what it had", async () => {
    await here.json("clone", "debian", "linked", "--linked");
    await here.refused(/linked/, "delete", "debian", "--purge");
    await here.json("clone", "debian", "copy");
    const file = join(dir, "copy.sampanvm");
    await here.json("export", "copy", file);
    await here.refused(/exists/, "export", "copy", file);
    await elsewhere.json("import", file, "--name", "arrived");
    await elsewhere.json("start", "arrived");
    await elsewhere.booted("arrived");
    assert.equal((await elsewhere.exec("arrived", "cat", "/root/state")).trim(), "good");
    await elsewhere.json("stop", "arrived", "--force");

    await here.json("start", "linked");
    await here.booted("linked");
    assert.equal((await here.exec("linked", "cat", "/root/state")).trim(), "good");
    await here.json("stop", "linked", "--force");
  });

  test("goes to the trash and comes back", async () => {
    await here.json("delete", "copy");
    assert.ok(!(await here.json("list")).some(({ name }) => name === "copy"));
    await here.json("restore", "copy");
    await here.json("delete", "copy", "--purge");
    await here.refused(/copy/, "restore", "copy");
  });

  test("when QEMU dies, it is said, with a report", async () => {
    await here.json("start", "debian");
    const { pid } = await here.json("status", "debian");
    process.kill(pid, "SIGKILL");
    await until(async () => (await here.json("list")).find(({ name }) => name === "debian").state === "stopped",
      "the end");
    const { last_run: last } = await here.json("status", "debian");
    assert.equal(last.how, "died");
    const { text } = await here.json("logs", "debian", "--crash");
    for (const words of ["SIGKILL", "768 MiB", "repair themselves", "virtio"]) assert.ok(text.includes(words), text);
    await here.json("start", "debian");
    await here.json("stop", "debian", "--force");
  });
});
