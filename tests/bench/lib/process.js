// What a process costs, by /proc.
import { readFileSync, readdirSync } from "node:fs";

const TICKS_PER_SECOND = 100; // USER_HZ, fixed in Linux's interface
const PAGE_KIB = /^Rss:\s+(\d+) kB/;

/** Threads of QEMU that run the guest's processors; named so by `-name debug-threads=on`. */
const VCPU = /^(CPU \d+\/|ALL CPUs\/)/;

/** CPU seconds that a process has used so far: all threads, and the guest's processors apart. */
export function cpuSeconds(pid) {
  let total = 0;
  let vcpu = 0;
  const threads = {};
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    let stat;
    try {
      stat = readFileSync(`/proc/${pid}/task/${task}/stat`, "utf8");
    } catch {
      continue; // It ended while we looked.
    }
    const close = stat.lastIndexOf(")");
    const name = stat.slice(stat.indexOf("(") + 1, close);
    const fields = stat.slice(close + 2).split(" ");
    const seconds = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    total += seconds;
    if (VCPU.test(name)) vcpu += seconds;
    threads[name] = (threads[name] ?? 0) + seconds;
  }
  return { total, vcpu, host: total - vcpu, threads };
}

/** The same for a process and everything it started: a browser. */
export function treeCpuSeconds(pid) {
  return tree(pid).reduce((sum, each) => {
    try {
      return sum + cpuSeconds(each).total;
    } catch {
      return sum;
    }
  }, 0);
}

function tree(pid) {
  const all = [];
  for (const next = [pid]; next.length > 0;) {
    const each = next.pop();
    all.push(each);
    try {
      for (const task of readdirSync(`/proc/${each}/task`)) {
        const children = readFileSync(`/proc/${each}/task/${task}/children`, "utf8");
        next.push(...children.split(" ").filter((text) => text.trim() !== "").map(Number));
      }
    } catch {
      // It ended while we looked.
    }
  }
  return all;
}

/** Resident memory without the guest's RAM, MiB: RAM is the mapping of just its size. */
export function residentBesidesGuest(pid, guestMiB) {
  const text = readFileSync(`/proc/${pid}/smaps`, "utf8");
  let rss = 0;
  let guest = 0;
  let size = 0;
  for (const line of text.split("\n")) {
    const sized = /^Size:\s+(\d+) kB/.exec(line);
    if (sized) size = Number(sized[1]);
    const resident = PAGE_KIB.exec(line);
    if (!resident) continue;
    const kib = Number(resident[1]);
    rss += kib;
    if (size === guestMiB * 1024) guest = Math.max(guest, kib);
  }
  return { besides: (rss - guest) / 1024, guest: guest / 1024 };
}
