// How a VM begins and ends: power-off, restart, quitting, children that are killed.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Viewer, launch } from "./lib/browser.js";
import { until } from "./lib/processes.js";
import { Sampan } from "./lib/sampan.js";

describe("lifecycle", () => {
  let browser;

  before(async () => {
    browser = await launch();
  });

  after(() => browser?.close());

  test("quit ends the program with 0, and the page says that the connection is gone", async () => {
    const sampan = await Sampan.run();
    try {
      const viewer = await Viewer.open(browser, sampan.url);
      await viewer.connected();
      await sampan.ctl("quit");
      const { code } = await sampan.ended();
      assert.equal(code, 0, sampan.log);
      await until(async () => (await viewer.marks()).connection !== "connected", "the page to notice");
      await viewer.close();
    } finally {
      await sampan.stop();
    }
  });

  test("Ctrl-C ends it with 130 and leaves no child", async () => {
    const sampan = await Sampan.run({ flags: ["--child"] });
    const children = sampan.children();
    assert.equal(children.length, 1);
    sampan.child.kill("SIGINT");
    const { code } = await sampan.ended();
    assert.equal(code, 130, sampan.log);
    await until(() => children.every((pid) => !alive(pid)), "the child to be gone");
    await sampan.stop();
  });

  for (const mode of ["--in-process", "--child"]) {
    test(`a reset starts the guest again, and the same page shows it (${mode})`, async () => {
      const sampan = await Sampan.run({ flags: [mode] });
      try {
        const viewer = await Viewer.open(browser, sampan.url);
        await sampan.guest.workload("scroll", 20);
        await viewer.reaches(50);
        await sampan.ctl("reset");
        // The counter begins anew: it was above 50, and is small again.
        await until(async () => {
          const counter = await viewer.counter();
          return typeof counter === "number" && counter < 50;
        }, "the page to show the guest's first frames again", 120_000);
        await viewer.close();
      } finally {
        await sampan.stop();
      }
    });
  }

  test("the guest's power-off ends the program with 0", async () => {
    const sampan = await Sampan.run();
    try {
      await sampan.guest.ask({ cmd: "poweroff" }).catch(() => undefined);
      const { code } = await sampan.ended();
      assert.equal(code, 0, sampan.log);
    } finally {
      await sampan.stop();
    }
  });

  for (const mode of ["--in-process", "--child"]) {
    test(`after the guest's power-off the same VM starts again (${mode})`, async () => {
      const sampan = await Sampan.run({ flags: [mode, "--on-poweroff", "keep"] });
      try {
        const viewer = await Viewer.open(browser, sampan.url);
        await viewer.connected();
        for (let round = 0; round < 2; round++) {
          await sampan.guest.workload("scroll", 20);
          await viewer.reaches(50);
          await sampan.ctl("powerdown");
          await until(async () => (await viewer.marks()).guest === "stopped", "the page to say powered off");
          assert.equal((await sampan.ctl("status", "--json")).state, "powered-off");
          await sampan.ctl("reset");
          await until(async () => {
            const counter = await viewer.counter();
            return typeof counter === "number" && counter < 50;
          }, "the page to show the guest's first frames again", 120_000);
        }
        assert.equal((await sampan.ctl("status", "--json")).state, "running");
        await viewer.close();
      } finally {
        await sampan.stop();
      }
    });
  }

  test("two VMs as children: one is killed, the other is unharmed", async () => {
    const [one, two] = await Promise.all([
      Sampan.run({ flags: ["--child"] }),
      Sampan.run({ flags: ["--child"] }),
    ]);
    try {
      const viewers = [await Viewer.open(browser, one.url), await Viewer.open(browser, two.url)];
      await Promise.all([one, two].map((vm) => vm.guest.workload("scroll", 10)));
      await Promise.all(viewers.map((viewer) => viewer.reaches(20)));
      const [host] = one.children();
      process.kill(host, "SIGKILL");
      const { code } = await one.ended();
      assert.equal(code, 3, one.log);
      assert.match(one.log, /9|kill/i, "it says how its QEMU ended");
      const { counter } = await two.guest.state();
      await viewers[1].reaches(counter + 20);
      assert.equal((await two.ctl("status", "--json")).state, "running");
      await Promise.all(viewers.map((viewer) => viewer.close()));
    } finally {
      await Promise.all([one.stop(), two.stop()]);
    }
  });
});

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
