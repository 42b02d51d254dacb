// Machines for the pictures: a Debian guest that runs, one that is suspended, one that has crashed, some that are off.
import { closeSync, existsSync, openSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../../napi/lib/module.js";
import { painted as isPainted, paintingMachine, smallest, tinyMachine } from "../../napi/lib/machines.js";

const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "sampan");
const disk = process.env.SAMPAN_GUEST_DISK || join(cache, "guest-disk/current/plain/disk.qcow2");

const NAMES = {
  zh: { web: "Debian 13", kept: "编译机", off: "试验田", windows: "Windows 11 开发机", fresh: "刚装好", ready: "装完工具" },
  en: { web: "Debian 13", kept: "Build box", off: "Playground", windows: "Windows 11 for work", fresh: "Just installed", ready: "With tools" },
};

/** Waits until the guest's agent answers; the prompt on its screen is there then, too. */
const isUp = (native, id) => until(`${id} is up`, () => native.guest.agent(id), 400_000);

async function types(native, id, lines) {
  const screen = await native.screen.attach(id, 1280, 800);
  for (const line of lines) {
    await native.input.text(screen, `${line}\n`).run();
    await new Promise((resolve) => setTimeout(resolve, 2500));
  }
  native.screen.detach(screen);
}

/** Machines that are there at once and show a colour: for whoever looks at the pages, not at guests. */
async function painted(native, names) {
  const [web, kept] = [await paintingMachine(tmpdir(), names.web), await paintingMachine(tmpdir(), names.kept)];
  for (const id of [web, kept]) {
    await native.life.start(id).run();
    await isPainted(id, "green");
  }
  const [fresh, ready] = [await native.snapshots.create(web, names.fresh, "", false).run(), await native.snapshots.create(web, names.ready, "", false).run()];
  await native.life.suspend(kept).run();
  return { web, kept, fresh, ready };
}

async function debian(native, names) {
  if (!existsSync(disk)) throw new Error(`${disk} is missing: scripts/guest/disk makes it`);
  const fd = openSync(disk, "r");
  const draft = { name: names.web, preset: "linux", arch: "x86_64", cpus: 2, memory: 512, file: { fd, name: "debian.qcow2" } };
  const { id: web } = await native.machines.create(draft, ["disk_may_outgrow"]).run();
  closeSync(fd);
  const { id: kept } = await native.machines.clone(web, names.kept, true).run();
  for (const id of [web, kept]) {
    await native.life.start(id).run();
    await isUp(native, id);
  }
  await types(native, web, ["root"]);
  const fresh = await native.snapshots.create(web, names.fresh, "", false).run();
  await types(native, web, ["uname -sm", "head -4 /etc/os-release"]);
  const ready = await native.snapshots.create(web, names.ready, "", false).run();
  await types(native, web, ["free -m", "df -h /"]);
  await types(native, kept, ["root", "ls /usr/lib | head -12"]);
  await native.life.suspend(kept).run();
  return { web, kept, fresh, ready };
}

/** Makes them; comes to their ids by what they are for. With `small`, guests that are there at once. */
export async function populate(native, small) {
  const names = NAMES.en;
  const { web, kept, fresh, ready } = await (small ? painted : debian)(native, names);
  const forward = { protocol: "tcp", address: "127.0.0.1", hostPort: 2222, guestPort: 22, count: 1 };
  // Another program of this computer may have the port.
  while (!(await native.forwards.add(web, forward).then(() => true, ({ code }) => code !== "port_in_use"))) forward.hostPort += 1;
  const off = (await native.machines.create(smallest(names.off, { preset: "linux", memory: 512, disk: 2 ** 31 }), ["disk_may_outgrow"]).run()).id;
  const more = { preset: "windows11", memory: 4096, cpus: 2, disk: 2 ** 32 };
  const windows = (await native.machines.create(smallest(names.windows, more), ["disk_may_outgrow", "memory_over_comfort", "disk_too_small"]).run()).id;
  await native.guest.pin(web, "org.gnome.TextEditor", "Text Editor");
  return { running: web, suspended: kept, off, windows, fresh, ready };
}

/** Gives them and their snapshots names of a language. */
export async function rename(native, known, language) {
  const names = NAMES[language];
  const isCalled = async (id) => (await native.machines.list()).find((one) => one.id === id).name;
  for (const [id, name] of [[known.running, names.web], [known.suspended, names.kept], [known.off, names.off], [known.windows, names.windows]]) {
    if (await isCalled(id) === name) continue;
    // What is suspended keeps its name until it runs.
    if (id === known.suspended) await native.life.start(id).run();
    await native.machines.change(id, [{ field: "name", value: JSON.stringify(name) }], []);
    if (id === known.suspended) await native.life.suspend(id).run();
  }
  await native.snapshots.edit(known.running, known.fresh, names.fresh, "");
  await native.snapshots.edit(known.running, known.ready, names.ready, "");
}

/** One with two displays, which runs. */
export async function desk(native) {
  const running = await tinyMachine("Desk");
  await native.machines.change(running, [{ field: "displays.heads", value: "2" }], []);
  await native.life.start(running).run();
  return { running };
}

/** Thirty, with the longest names and some from right to left. */
export async function crowd(native) {
  const long = "An exceptionally long name of a machine that nobody would choose but somebody will, all the same, so";
  const names = [long.slice(0, 100), "جهاز افتراضي للتجارب اليومية", "一台名字非常非常长的虚拟机，谁也不会这么起名，可总有人会这么起名"];
  const ids = [];
  for (let n = 0; n < 30; n++) ids.push((await native.machines.create(smallest(names[n] ?? `Machine ${n}`), []).run()).id);
  return { long: ids[0], arabic: ids[1], running: ids[0] };
}
