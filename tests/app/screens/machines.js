// Machines for the pictures: a Debian guest that runs, one that is suspended, one that has crashed, some that are off.
import { closeSync, existsSync, openSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { until } from "../../napi/lib/module.js";
import { smallest } from "../../napi/lib/machines.js";

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

/** Makes them, with names in a language; comes to their ids by what they are for. */
export async function populate(native, language) {
  if (!existsSync(disk)) throw new Error(`${disk} is missing: scripts/guest/disk makes it`);
  const names = NAMES[language];
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
  await native.snapshots.create(web, names.fresh, "", false).run();
  await types(native, web, ["uname -sm", "head -4 /etc/os-release"]);
  await native.snapshots.create(web, names.ready, "", false).run();
  await types(native, web, ["free -m", "df -h /"]);
  await types(native, kept, ["root", "ls /usr/lib | head -12"]);
  await native.life.suspend(kept).run();
  await native.forwards.add(web, { protocol: "tcp", address: "127.0.0.1", hostPort: 2222, guestPort: 22, count: 1 });
  const off = (await native.machines.create(smallest(names.off, { preset: "linux", memory: 512, disk: 2 ** 31 }), ["disk_may_outgrow"]).run()).id;
  const more = { preset: "windows11", memory: 4096, cpus: 2, disk: 2 ** 32 };
  const windows = (await native.machines.create(smallest(names.windows, more), ["disk_may_outgrow", "memory_over_comfort", "disk_too_small"]).run()).id;
  return { running: web, suspended: kept, off, windows };
}
