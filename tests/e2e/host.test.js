// A real Debian and the host around it: folders that it shares, its screen by VNC, how much of the host it takes, and a
// disk of the host's that runs full. One boot for all of it.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  lstatSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, statfsSync, symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Library, debian, freePort } from "./lib/library.js";
import { folder, until } from "./lib/processes.js";
import { vnc } from "./lib/vnc.js";

const MIB = 2 ** 20;
/** What an emulated guest on a busy machine may need for anything. */
const PATIENCE_MS = 120_000;

describe("a Debian guest and its host", () => {
  const dir = folder("host");
  const home = join(dir, "home");
  const [work, books, owned, outside] = ["work", "books", "owned", "outside"].map((name) => join(dir, name));
  const secret = join(outside, "secret");
  let here, port, hints, mounted;

  /** In the guest's shell. */
  const sh = (line) => here.exec("debian", "sh", "-c", line);
  const fails = (line) => here.fails("debian", line);
  const mount = (tag) => sh(`mkdir -p /mnt/${tag} && ${hints[tag]}/${tag}`);
  const unmount = () => sh("cd / && umount /mnt/work /mnt/books /mnt/owned");
  const status = () => here.json("status", "debian");
  const memories = () => readdirSync(join(home, "vms", readdirSync(join(home, "vms"))[0], "state"));

  before(async () => {
    const disk = await debian();
    for (const path of [work, books, owned, outside, home]) mkdirSync(path);
    writeFileSync(join(work, "from the host"), "ahoy\n");
    writeFileSync(join(books, "text"), "printed\n");
    writeFileSync(secret, "the host's own\n");
    // A small disk of its own for the library. Without the right to mount the test of the full disk says so.
    mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=6g,mode=0700", "sampan-test", home], { encoding: "utf8" });
    if (mounted.status === 0) process.on("exit", () => spawnSync("umount", ["--lazy", home]));
    here = new Library(home);
    await here.json("new", "debian", "--image", disk, "--memory", "512M", "--cpus", "2", "--arch", "x86_64", "--yes");
    hints = {};
    for (const [path, ...flags] of [[work, "--writable", "--security", "none"], [books], [owned, "--writable"]]) {
      const { stdout } = await here.run("share", "add", "debian", path, ...flags);
      const [, hint, tag] = /in the guest: (mount .* (\w+) \/mnt)$/m.exec(stdout);
      hints[tag] = hint;
    }
    port = await freePort();
    writeFileSync(join(dir, "password"), "pass 1!\n");
    await here.json("vnc", "debian", "on", "--port", String(port), "--password-file", join(dir, "password"));
    await here.json("start", "debian", "--yes");
    await here.booted("debian");
  }, { timeout: 900_000 });

  after(async () => {
    await here?.stopAll();
    if (mounted?.status === 0) spawnSync("umount", [home]);
    rmSync(dir, { recursive: true, force: true });
  });

  test("a shared folder is read and written, by the line that `share add` tells", async () => {
    await here.refused(/in use|runs/, "share", "add", "debian", outside);
    for (const tag of ["work", "books", "owned"]) await mount(tag);
    assert.equal(await sh("cat '/mnt/work/from the host'"), "ahoy\n");
    // Larger than one message of the protocol, then changed in its middle.
    await sh("cd /mnt/work && seq 1 200000 >new && printf XYZ | dd of=new bs=1 seek=500000 conv=notrunc 2>/dev/null");
    const expected = Buffer.from(Array.from({ length: 200_000 }, (_, n) => `${n + 1}\n`).join(""));
    expected.write("XYZ", 500_000);
    assert.ok(readFileSync(join(work, "new")).equals(expected), "the host sees what the guest wrote");
    await sh("cd /mnt/work && mkdir -p a/b && mv new 'a/b/ä, b' && rm 'from the host' && truncate -s 5 'a/b/ä, b'");
    assert.deepEqual([readdirSync(work), readFileSync(join(work, "a/b/ä, b"), "utf8")], [["a"], "1\n2\n3"]);
    writeFileSync(join(work, "a/b/later"), "while it runs\n");
    assert.equal(await sh("cat /mnt/work/a/b/later"), "while it runs\n");
    // Without mapping files belong to whoever runs QEMU, and none becomes a program that runs as them.
    assert.equal(statSync(join(work, "a/b/ä, b")).uid, process.getuid());
    await sh("cd /mnt/work && chmod 700 'a/b/ä, b'");
    for (const mode of ["4755", "2755"]) assert.match(await fails(`chmod ${mode} '/mnt/work/a/b/ä, b'`), /not permitted/);
    assert.equal(statSync(join(work, "a/b/ä, b")).mode, 0o100700);
    assert.deepEqual((await here.json("share", "list", "debian")).map(({ tag, access }) => [tag, access]),
      [["work", "write"], ["books", "read"], ["owned", "write"]]);
  });

  test("one that is read-only takes nothing", async () => {
    assert.equal(await sh("cat /mnt/books/text"), "printed\n");
    const { mode } = statSync(join(books, "text"));
    for (const line of ["echo x >new", "echo x >text", "echo x >>text", "rm text", "mv text gone", "mkdir new",
      "ln -s text new", "ln text new", "chmod 777 text", "chown 1:1 text", "touch -d 2001-01-01 text", "truncate -s 0 text"]) {
      assert.match(await fails(`cd /mnt/books && ${line}`), /Read-only file system/, line);
    }
    assert.deepEqual(readdirSync(books), ["text"]);
    assert.deepEqual([readFileSync(join(books, "text"), "utf8"), statSync(join(books, "text")).mode], ["printed\n", mode]);
  });

  test("a file for the guest goes by the folder that it has mounted", async () => {
    const file = join(dir, "for you.txt");
    writeFileSync(file, "quick\n");
    const given = await here.json("file", "push", "debian", file);
    assert.deepEqual(given, { bytes: 6, way: "shared", to: "/mnt/work/for you.txt", shared: { tag: "work", name: "for you.txt" } });
    assert.equal(await sh("cat '/mnt/work/for you.txt'"), "quick\n");
    const second = await here.run("file", "push", "debian", file);
    assert.match(second.stdout, /to \/mnt\/work\/for you \(2\)\.txt, by the shared folder work/);
    await sh("rm /mnt/work/for*");
  });

  test("links that lead out of it lead to nothing of the host", async () => {
    symlinkSync(secret, join(work, "absolute"));
    symlinkSync("../outside/secret", join(work, "relative"));
    symlinkSync("../outside", join(work, "folder"));
    await sh(`cd /mnt/work && ln -s ${secret} own && ln -s ../outside own-folder`);
    assert.ok(lstatSync(join(work, "own")).isSymbolicLink(), "without mapping a link is one for the host, too");
    // A guest follows links by itself, and what is there is its own.
    for (const name of ["absolute", "relative", "own", "folder/secret", "own-folder/secret"]) {
      assert.match(await fails(`cat /mnt/work/${name}`), /No such file/, name);
      assert.match(await fails(`echo x >/mnt/work/${name}`), /nonexistent|No such file/, name);
    }
    // One that does not: it holds a folder and a file, which become links behind its back. The names are looked up by
    // QEMU then.
    mkdirSync(join(work, "trap"));
    writeFileSync(join(work, "held"), "harmless\n");
    const holder = 'chdir "/mnt/work/trap"; sysopen F, "/mnt/work/held", 010000000 or die; sleep 3600';
    const pid = (await sh(`perl -e '${holder}' >/dev/null 2>&1 & echo $!`)).trim();
    await until(async () => (await sh(`readlink /proc/${pid}/fd/3 || true`)).includes("held"), "the holder", PATIENCE_MS);
    const [trap, held] = [`/proc/${pid}/cwd`, `/proc/${pid}/fd/3`];
    // The way works: another folder and another file under the same names are found.
    for (const name of ["trap", "held"]) renameSync(join(work, name), join(work, `${name} before`));
    mkdirSync(join(work, "trap"));
    writeFileSync(join(work, "trap/sound"), "found\n");
    writeFileSync(join(work, "held"), "found\n");
    assert.equal(await sh(`cat ${trap}/sound ${held}`), "found\nfound\n");
    for (const to of [(name) => join(outside, name), (name) => join("../outside", name)]) {
      for (const name of ["trap", "held"]) rmSync(join(work, name), { recursive: true });
      symlinkSync(to(""), join(work, "trap"));
      symlinkSync(to("secret"), join(work, "held"));
      for (const line of [`cat ${held}`, `echo x >${held}`, `cat ${trap}/secret`, `echo x >${trap}/secret`,
        `echo x >${trap}/made`, `mkdir ${trap}/made`, `rm ${trap}/secret`, `ls ${trap}/ | grep .`]) {
        assert.doesNotMatch(await fails(line), /host's own/, line);
      }
    }
    await sh(`kill ${pid}`);
    assert.deepEqual([readdirSync(outside), readFileSync(secret, "utf8")], [["secret"], "the host's own\n"]);
  });

  test("mapped, it keeps the guest's owners, modes and devices beside harmless files", async () => {
    const attribute = (path, name) => {
      const words = "import os,sys; sys.stdout.buffer.write(os.getxattr(sys.argv[1], sys.argv[2]))";
      return execFileSync("python3", ["-c", words, path, `user.virtfs.${name}`]).readUIntLE(0, 4);
    };
    await sh("cd /mnt/owned && echo mine >file && chown 1234:2345 file && chmod 4751 file && ln -s /etc/passwd link && mknod device c 1 3");
    const expected = ["file 1234 2345 4751 regular file", "device 0 0 644 character special file"];
    const seen = () => sh("cd /mnt/owned && stat -c '%n %u %g %a %F' file device");
    assert.deepEqual((await seen()).trim().split("\n"), expected);
    const file = join(owned, "file");
    assert.deepEqual(["uid", "gid", "mode"].map((name) => attribute(file, name)), [1234, 2345, 0o104751]);
    // On the host each is a plain file of whoever runs QEMU, which nobody else reads.
    for (const name of ["file", "link", "device"]) {
      const { mode, uid } = lstatSync(join(owned, name));
      assert.deepEqual([mode, uid], [0o100600, process.getuid()], name);
    }
    assert.equal(readFileSync(join(owned, "link"), "utf8"), "/etc/passwd");
    await sh("umount /mnt/owned");
    await mount("owned");
    assert.deepEqual((await seen()).trim().split("\n"), expected, "they last");
    assert.equal((await sh("readlink /mnt/owned/link")).trim(), "/etc/passwd");
  });

  test("while it is mounted the memory cannot be saved, which is said beforehand with the way out", async () => {
    const words = /shared folder (work|books|owned) must not be in use: unmount it in the guest/;
    for (const command of [["snapshot", "create", "debian", "refused"], ["suspend", "debian"]]) {
      await here.refused(words, ...command);
      assert.equal((await status()).state, "running");
    }
    assert.deepEqual([(await here.json("snapshot", "list", "debian")).snapshots, memories()], [[], []]);
    await here.json("snapshot", "create", "debian", "disks", "--disks-only");
    await sh("umount /mnt/work /mnt/owned");
    const { code, stderr } = await here.run("suspend", "debian");
    assert.ok(code === 1 && stderr.includes("folder books") && !stderr.includes("folder work"), stderr);
    await sh("umount /mnt/books; echo kept >/run/kept");
    await here.json("snapshot", "create", "debian", "memory");
    await here.json("suspend", "debian");
    await here.json("start", "debian", "--yes");
    for (const tag of ["work", "books", "owned"]) await mount(tag);
    assert.equal(await sh("cat /run/kept /mnt/books/text; ls /mnt/work/a/b/later"), "kept\nprinted\n/mnt/work/a/b/later\n");
    await unmount();
  });

  test("VNC lets in who knows the password, also a new one at once", async () => {
    const seen = await vnc(port, "pass 1!");
    assert.deepEqual([seen.version, seen.kinds], ["RFB 003.008\n", [2]], "a password, and nothing without it");
    assert.ok(seen.width >= 640 && seen.pixels === seen.width * seen.height && seen.colours > 1, JSON.stringify(seen));
    assert.match(seen.name, /debian/);
    for (const wrong of ["", "pass 1", "Pass 1!", "pass 1!!"]) {
      assert.match((await vnc(port, wrong)).refused, /[Aa]uthentication/, wrong);
    }
    writeFileSync(join(dir, "password"), "waves #2\n");
    assert.equal((await here.json("vnc", "debian", "password", "--password-file", join(dir, "password"))).when, "now");
    assert.match((await vnc(port, "pass 1!")).refused, /[Aa]uthentication/);
    assert.equal((await vnc(port, "waves #2")).width, seen.width);
    writeFileSync(join(dir, "password"), "longer than eight\n");
    await here.refused(/8/, "vnc", "debian", "password", "--password-file", join(dir, "password"));
    const told = await here.json("vnc", "debian");
    assert.deepEqual([told.vnc, told.password], [{ address: "127.0.0.1", port }, true]);
    assert.ok(!JSON.stringify(await here.json("show", "debian")).includes("waves"), "it is not in the description");
  });

  test("its mode is changed while it runs, and what became of it is told", async () => {
    assert.equal((await here.json("mode", "debian")).mode, "standard");
    const { pid } = await status();
    const nice = () => {
      const threads = readdirSync(`/proc/${pid}/task`).filter((thread) =>
        readFileSync(`/proc/${pid}/task/${thread}/comm`, "utf8").startsWith("CPU "));
      const values = threads.map((thread) =>
        Number(readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8").split(") ")[1].split(" ")[16]));
      return [threads.length, ...new Set(values)];
    };
    for (const [mode, wanted] of [["saver", 10], ["turbo", 0], ["standard"]]) {
      const { mode: now, effects: [effect] } = await here.json("mode", "debian", mode);
      assert.deepEqual([now, (await status()).mode, (await here.json("mode", "debian")).mode], [mode, mode, mode]);
      assert.ok(Number.isInteger(effect.before) && Number.isInteger(effect.after), JSON.stringify(effect));
      // Who may not raise a priority is told so.
      const told = effect.refused.some(({ params }) => params.reason === "priority_not_raised");
      if (wanted !== undefined && !told) assert.deepEqual(nice(), [2, wanted], JSON.stringify(effect));
    }
    await here.json("mode", "debian", "--background");
    const slowed = await status();
    assert.deepEqual([slowed.state, slowed.background, slowed.slowed], ["running", true, true]);
    assert.equal((await sh("echo still here")).trim(), "still here");
    assert.equal((await here.json("mode", "debian", "--foreground")).background, false);
    assert.equal((await status()).slowed, false);
    assert.equal((await here.run("mode", "debian", "warp")).code, 2);
  });

  test("it is paused before the host's disk is full, and when it is, and loses nothing", async (t) => {
    if (mounted.status !== 0) return t.skip(`mounting is forbidden here, so there is no small disk: ${mounted.stderr.trim()}`);
    const free = () => {
      const { bavail, bsize } = statfsSync(home);
      return Number(bavail) * Number(bsize);
    };
    /** Leaves so many bytes of the host's disk. */
    const leave = (bytes) => {
      const { blocks, bfree, bsize } = statfsSync(home);
      const size = (Number(blocks) - Number(bfree)) * Number(bsize) + bytes;
      execFileSync("mount", ["-o", `remount,size=${Math.ceil(size / 1024)}k`, home]);
    };
    const paused = (words) => until(async () => {
      const { state, detail } = await status();
      return state === "paused" && words.test(detail) ? detail : undefined;
    }, `a pause in the words ${words}`, PATIENCE_MS, 200);
    const count = async () => Number((await sh("ls /root | grep -c ^chunk || true")).trim());
    // Chunks of 9 MB, each on the disk before the next one begins, with a rest in between: a host is looked at every few seconds.
    const chunk = "seq $((10000000 + n * 1000000)) $((10999999 + n * 1000000))";
    const writer = `n=0; until [ -e /run/enough ] || [ $n = 80 ]; do ${chunk} >/root/chunk$n && sync || break; n=$((n + 1)); sleep 0.2; done; touch /run/done`;
    leave(512 * MIB + 40 * MIB);
    await sh(`(${writer}) >/dev/null 2>/run/errors &`);
    const before = await paused(/paused before the disk is full: \d+ MiB are free.*free some space, then resume/);
    assert.ok(free() < 512 * MIB && free() > 100 * MIB, `${before}: ${free()} bytes are free`);
    // Who goes on all the same is told by QEMU when nothing is left.
    leave(30 * MIB);
    await here.json("resume", "debian");
    await paused(/the host's disk is full: free some space, then resume/);
    assert.ok(free() < 9 * MIB, `${free()} bytes are free`);
    leave(2048 * MIB);
    await here.json("resume", "debian");
    await until(async () => (await status()).state === "running", "the machine to run", PATIENCE_MS);
    const written = await until(count, "the guest to tell what it has written", PATIENCE_MS);
    await until(async () => (await count()) > written + 1, "the guest to go on writing", PATIENCE_MS);
    await sh("touch /run/enough");
    await until(async () => (await sh("ls /run")).includes("done"), "the writer's end", PATIENCE_MS);
    // What is compared comes from the disk, not from the guest's memory.
    await sh("echo 3 >/proc/sys/vm/drop_caches");
    const compare = `n=0; while [ -e /root/chunk$n ]; do ${chunk} | cmp - /root/chunk$n || exit 1; n=$((n + 1)); done; echo $n`;
    assert.equal(Number((await sh(compare)).trim()), await count());
    assert.equal(await sh("cat /run/errors; dmesg | grep -iE 'I/O error|EXT4-fs error' || true"), "");
  });
});
