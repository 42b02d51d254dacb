// One measurement of one side: a workload played for some seconds, and what came of it.
import { sleep, until } from "../../e2e/lib/processes.js";
import { spread } from "./figures.js";
import { cpuSeconds, residentBesidesGuest, treeCpuSeconds } from "./process.js";

/** The picture settles for so long before anything is counted. */
const SETTLE_MS = 1500;
/** evdev code and DOM key of what is typed in the key → glyph workload. */
const KEY = { dom: "KeyG", evdev: 34 };
/** Glyphs a second where no key can be typed: about as many as are typed elsewhere. */
const GLYPHS = 6;

/** Plays a workload and stamps every frame. `browserPid` tells what the browser costs. */
export async function play(session, { name, fps, seconds, browserPid }) {
  const { guest, view, side, host } = session;
  const typing = name === "glyph" && view.press !== undefined;
  await guest.workload(name, name === "glyph" ? (typing ? undefined : GLYPHS) : fps);
  await sleep(SETTLE_MS);
  const before = await clocks(guest, view);
  await view.startProbe();
  const from = guest.events.length;
  const [bytes, pixels] = [await view.received(), await view.encodings()];
  const start = usage(host, browserPid);
  const began = process.hrtime.bigint();
  const typed = typing ? await type(view, seconds) : await sleep(seconds * 1000);
  const ended = process.hrtime.bigint();
  const elapsed = Number(ended - began) / 1e9;
  const end = usage(host, browserPid);
  const received = (await view.received()) - bytes;
  const encodings = shares(pixels, await view.encodings());
  await sleep(300);
  const frames = await view.stopProbe();
  const after = await clocks(guest, view);
  const paints = guest.events.slice(from).filter((event) => event.paint !== undefined);
  const toOurs = between(before, after);

  const painted = new Map(paints.map((event) => [event.paint, toOurs.guest(event.t)]));
  const decoded = latencies(frames.decoded, painted, toOurs.view);
  const shown = latencies(frames.shown, painted, toOurs.view);
  const within = (ours) => ours >= Number(began) && ours < Number(ended);
  const inTime = paints.filter((event) => within(toOurs.guest(event.t))).length;
  const distinct = new Set(
    frames.decoded.filter(([, at]) => within(toOurs.view(at))).map(([counter]) => counter),
  ).size;
  const cost = difference(start, end);
  return {
    side: side.name,
    workload: name,
    fps,
    seconds: elapsed,
    painted: inTime,
    paintedPerSecond: inTime / elapsed,
    distinct,
    distinctPerSecond: distinct / elapsed,
    decodedMs: decoded,
    shownMs: shown,
    inputMs: typing ? inputLatencies(frames, paints) : undefined,
    keys: typed,
    bytes: received,
    bytesPerFrame: distinct > 0 ? received / distinct : undefined,
    encodings,
    errorMs: toOurs.error / 1e6,
    driftMs: toOurs.drift / 1e6,
    hostCpu: cost.host / elapsed,
    vcpuCpu: cost.vcpu / elapsed,
    browserCpu: cost.browser / elapsed,
    hostCpuPer1000: distinct > 0 ? (cost.host / distinct) * 1000 : undefined,
    browserCpuPer1000: distinct > 0 ? (cost.browser / distinct) * 1000 : undefined,
    threads: cost.threads,
  };
}

/** What an idle guest costs with a viewer attached, after whatever refinement has ended. */
export async function idle(session, { seconds, browserPid }) {
  const { guest, view, side, host } = session;
  await guest.workload("idle");
  await sleep(4000);
  await view.startProbe();
  const status = await host.status();
  const start = usage(host, browserPid);
  await sleep(seconds * 1000);
  const cost = difference(start, usage(host, browserPid));
  const frames = await view.stopProbe();
  return {
    side: side.name,
    seconds,
    framesDecoded: frames.decoded.length,
    hostCpu: cost.host / seconds,
    vcpuCpu: cost.vcpu / seconds,
    browserCpu: cost.browser / seconds,
    threads: cost.threads,
    statusBefore: status,
    statusAfter: await host.status(),
  };
}

export function memory(host, guestMiB) {
  const qemu = residentBesidesGuest(host.pid(), guestMiB);
  const apart = host.encoderPid() !== host.pid();
  const encoder = apart ? residentBesidesGuest(host.encoderPid(), guestMiB).besides : 0;
  return qemu.besides + encoder;
}

/** Waits until the page shows the guest at the wanted size. */
export async function atSize(session, size, timeoutMs = 120_000) {
  await until(async () => {
    const { width, height } = await session.guest.state();
    return width === size.width && height === size.height;
  }, `the guest to be ${size.width} × ${size.height}`, timeoutMs, 200);
}

/** Shares of the pixels that came in each encoding since. */
function shares(before, after) {
  const parts = Object.entries(after).map(([name, pixels]) => [name, pixels - (before[name] ?? 0)]);
  const sum = parts.reduce((total, [, pixels]) => total + pixels, 0);
  return Object.fromEntries(parts.filter(([, pixels]) => pixels > 0).map(([name, pixels]) => [name, pixels / sum]));
}

async function type(view, seconds) {
  const end = Date.now() + seconds * 1000;
  let count = 0;
  while (Date.now() < end) {
    await view.press(KEY.dom);
    count += 1;
    // Neither in step with a 60 Hz display nor with QEMU's 30 ms timer.
    await sleep(130 + (count * 37) % 41);
  }
  return count;
}

/** A key's time in the page to the time the page shows what it caused: one clock, no offset. */
function inputLatencies(frames, paints) {
  const causes = paints.filter((event) => event.cause === KEY.evdev).map((event) => event.paint);
  const pressed = frames.keys.filter(([code]) => code === KEY.dom).map(([, at]) => at);
  const count = Math.min(causes.length, pressed.length);
  if (causes.length !== pressed.length) return { n: 0, note: `${pressed.length} keys, ${causes.length} paints` };
  const all = [];
  for (let i = 0; i < count; i++) {
    const frame = frames.shown.find(([counter, at]) => counter >= causes[i] && at >= pressed[i]);
    if (frame !== undefined) all.push(frame[1] - pressed[i]);
  }
  return spread(all);
}

/** From a frame's paint to its first appearance, milliseconds. */
function latencies(frames, painted, toOurs) {
  const seen = new Set();
  const all = [];
  for (const [counter, at] of frames) {
    const paint = painted.get(counter);
    if (paint === undefined || seen.has(counter)) continue;
    seen.add(counter);
    all.push((toOurs(at) - paint) / 1e6);
  }
  return spread(all);
}

/** The guest's clock and the viewer's against ours. */
export async function clocks(guest, view) {
  return { at: Number(process.hrtime.bigint()), guest: await guest.clock(), view: await view.clock() };
}

/** Both clocks may run a little fast or slow: offsets are taken before and after, and in between by a line. */
function between(before, after) {
  const line = (a, b) => (ours) => a + ((b - a) * (ours - before.at)) / (after.at - before.at);
  const guestOffset = line(before.guest.offset, after.guest.offset);
  const viewOffset = line(before.view.offset, after.view.offset);
  return {
    guest: (t) => t + guestOffset(t + before.guest.offset),
    view: (ms) => ms * 1e6 + viewOffset(ms * 1e6 + before.view.offset),
    error: Math.max(before.guest.error, after.guest.error) + Math.max(before.view.error, after.view.error),
    drift: after.guest.offset - before.guest.offset,
  };
}

function usage(host, browserPid) {
  const pids = [...new Set([host.pid(), host.encoderPid()])];
  const each = pids.map(cpuSeconds);
  const threads = {};
  for (const { threads: some } of each) {
    for (const [name, seconds] of Object.entries(some)) threads[name] = (threads[name] ?? 0) + seconds;
  }
  const sum = (field) => each.reduce((total, one) => total + one[field], 0);
  const clients = host.clientPids?.() ?? [browserPid];
  return { host: sum("host"), vcpu: sum("vcpu"), browser: clients.reduce((total, pid) => total + treeCpuSeconds(pid), 0), threads };
}

function difference(start, end) {
  const threads = {};
  for (const [name, seconds] of Object.entries(end.threads)) {
    const used = seconds - (start.threads[name] ?? 0);
    if (used >= 0.01) threads[name] = Number(used.toFixed(2));
  }
  return {
    host: end.host - start.host,
    vcpu: end.vcpu - start.vcpu,
    browser: end.browser - start.browser,
    threads,
  };
}
