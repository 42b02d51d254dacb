// The things that are compared. Each starts a VM with the tiny guest and shows it: `missing()` tells what is not installed here,
// `versions()` whose figures they are.
import { join } from "node:path";
import { Guest } from "../../e2e/lib/guest.js";
import { Sampan, program } from "../../e2e/lib/sampan.js";
import { version } from "./machine.js";
import { PageView } from "./page.js";
import { rdpSide } from "./rdp.js";
import { spiceSide } from "./spice.js";
import { vncSide } from "./vnc.js";

const SIDES = {
  sampan: (setting) => sampanSide("sampan", setting, false),
  child: (setting) => sampanSide("child", setting, true),
  vnc: (setting) => vncSide("vnc", setting, "Tight"),
  "vnc-zrle": (setting) => vncSide("vnc-zrle", setting, "ZRLE"),
  spice: (setting) => spiceSide("spice", setting),
  rdp: (setting) => rdpSide("rdp", setting),
};

/** The side of this name. */
export function side(name, setting) {
  if (!Object.hasOwn(SIDES, name)) throw new Error(`no side is called ${name}: there are ${Object.keys(SIDES).join(", ")}`);
  return SIDES[name](setting);
}

/** Sampan itself, in its own process or a child, seen through its page. */
function sampanSide(name, { arch, size, memory, cpus }, child) {
  return {
    name,
    missing: () => undefined,
    versions: () => ({ sampan: version(program, "--version").replace(/^sampan /, "") }),
    async start(browser) {
      const sampan = await Sampan.run({
        arch,
        memory,
        flags: [child ? "--child" : "--in-process", "--cpus", String(cpus)],
        guest: false,
      });
      return {
        pid: () => (child ? sampan.children()[0] : sampan.pid),
        encoderPid: () => sampan.pid,
        guest: () => Guest.connect(join(sampan.dir, "guest")),
        open: () => PageView.open(browser, size, "video", sampan.url),
        screenshot: (file) => sampan.ctl("screenshot", file),
        pause: () => sampan.ctl("pause"),
        resume: () => sampan.ctl("resume"),
        status: () => status(sampan),
        stop: () => sampan.stop(),
      };
    },
  };
}

/** What the server tells of itself, if it does. */
async function status(sampan) {
  const answer = await fetch(`${sampan.origin}/status`, {
    headers: { Authorization: `Bearer ${sampan.token}` },
  });
  return answer.ok ? answer.json() : undefined;
}
