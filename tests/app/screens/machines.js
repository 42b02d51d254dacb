// Machines for the pictures: one that runs, one suspended, some off.
import { painted, paintingMachine, smallest } from "../../napi/lib/machines.js";

/** Makes them; comes to their ids by what they are for. */
export async function populate(native, home) {
  await native.host.init(home, process.env.SAMPAN_QEMU_DIR || `${process.env.HOME}/.cache/sampan/qemu/current`);
  const running = await paintingMachine(home, "Debian 13 桌面");
  await native.life.start(running).run();
  await painted(running, "green");
  await native.snapshots.create(running, "刚装好", "", false).run();
  await native.snapshots.create(running, "装完桌面", "", false).run();
  const suspended = await paintingMachine(home, "openEuler 24.03");
  await native.life.start(suspended).run();
  await painted(suspended, "green");
  await native.life.suspend(suspended).run();
  const off = (await native.machines.create(smallest("Alpine 试验田", { preset: "linux", memory: 512, disk: 2 ** 33 }), ["disk_may_outgrow"]).run()).id;
  const windows = (await native.machines.create(smallest("Windows 11 开发机", { preset: "windows11", memory: 4096, cpus: 2, disk: 2 ** 36 }), [
    "disk_may_outgrow"]).run().catch((error) => ({ id: "", error }))).id;
  await native.forwards.add(running, { protocol: "tcp", address: "127.0.0.1", hostPort: 2222, guestPort: 22, count: 1 }).catch(() => {});
  return { running, suspended, off, windows };
}
