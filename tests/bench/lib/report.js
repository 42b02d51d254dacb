// The tables of a run of tests/bench/run, from its JSON.
import { median, show, table } from "./figures.js";
import { AFTER_MS, EXACT_DB } from "./text.js";

/** The median over the runs of what `field` takes from each entry of a side; undefined where there is none. */
export function medianOf(list, side, field) {
  return median(list.filter((one) => one.side === side).map(field).filter((value) => value !== undefined && value !== null));
}

/** What was measured, and with what, in words. */
export function setting({ date, machine, versions, settings, sides }) {
  const { size, runs, seconds, fps, cpus, memory, arch, seed } = settings;
  return {
    date,
    machine: `${machine.cores} cores (${machine.cpu}, load ${show(machine.load[0], 1)} at the start), ${machine.kernel}, ${machine.system}`,
    guest: `the tiny guest for ${arch} with ${cpus} processors and ${memory} MiB at ${size.width} × ${size.height}, ${fps} frames/s painted`,
    runs: `${runs} ${runs === 1 ? "run" : "runs"} of ${seconds} s for each workload, seed ${seed}`,
    sides: [
      `${versions.chromium}`,
      ...sides.map((side) => `${side.name}: ${Object.entries(side.versions).map(([name, version]) => `${name} ${version}`).join(", ")}`),
    ],
  };
}

const dB = (value) => (value === undefined || value === null ? "–" : value >= EXACT_DB ? "exact" : show(value, 1));

/** All tables as Markdown. */
export function tables(report) {
  const names = report.sides.map((side) => side.name);
  const told = setting(report);
  const mid = (list, side, field, digits) => show(medianOf(list, side, field), digits);
  const rows = report.settings.workloads.flatMap((workload) => names.map((side) => {
    const plays = report.plays.filter((one) => one.workload === workload);
    const get = (field, digits) => mid(plays, side, field, digits);
    const three = (name) => ["p50", "p95", "p99"].map((q) => get((one) => one[name]?.[q])).join(" / ");
    return [
      workload, side, three("decodedMs"), three("shownMs"), get((one) => one.errorMs, 2),
      get((one) => one.paintedPerSecond), get((one) => one.distinctPerSecond),
      get((one) => one.hostCpuPer1000), get((one) => one.browserCpuPer1000),
      get((one) => one.bytesPerFrame && one.bytesPerFrame / 1024), get((one) => one.bytes && (one.bytes * 8) / one.seconds / 1e6),
      three("inputMs"), encodings(plays.filter((one) => one.side === side)),
    ];
  }));
  const sides = names.map((side) => [
    side, mid(report.starts, side, (one) => one.seconds, 2), mid(report.idle, side, (one) => one.framesDecoded, 0),
    mid(report.idle, side, (one) => one.hostCpu * 100, 2),
    `${mid(report.memory, side, (one) => one.without, 0)} / ${mid(report.memory, side, (one) => one.withViewer, 0)}`,
  ]);
  const quality = names.filter((side) => report.texts.some((one) => one.side === side)).map((side) => {
    const get = (field) => medianOf(report.texts, side, field);
    const pair = (field) => `${dB(get((one) => field(one)?.psnr))}, ${show(get((one) => field(one)?.ssim), 4)}`;
    const least = report.texts.filter((one) => one.side === side && one.moving).map((one) => one.moving.least);
    return [
      side, ...AFTER_MS.map((ms) => pair((one) => one.after[ms])), pair((one) => one.rest), dB(get((one) => one.moving?.p50)),
      dB(least.length > 0 ? Math.min(...least) : undefined), show(get((one) => one.moving?.ssim), 4), torn(report.texts.filter((one) => one.side === side)),
    ];
  });
  return [
    `${told.date}. ${told.machine}; ${told.guest}; ${told.runs}.`,
    told.sides.map((side) => `- ${side}`).join("\n"),
    "Medians over the runs; times in ms as p50 / p95 / p99, CPU in seconds per 1000 distinct frames, KiB per distinct frame.",
    table(["workload", "side", "paint → decoded", "paint → shown", "± clock", "painted/s", "distinct/s", "host CPU", "client CPU", "KiB", "Mb/s",
      "key → shown", "pixels came as"], rows),
    table(["side", "start → first picture, s", "idle: frames", "idle: host CPU, % of a core", "memory besides RAM without / with viewer, MiB"], sides),
    ...(quality.length > 0 ? [
      "Text beside the guest's own picture: RGB PSNR in dB, SSIM of the luma; after a page of text has appeared, and while it scrolls.",
      table(["side", ...AFTER_MS.map((ms) => `after ${ms} ms`), "at rest", "scrolling: median dB", "least dB", "its SSIM", "torn"], quality),
    ] : []),
  ].join("\n\n");
}

/** How many of the pictures that were looked at have rows of two frames. */
function torn(texts) {
  const sum = (field) => texts.reduce((total, one) => total + (one.moving?.[field] ?? 0), 0);
  return `${sum("torn")} of ${sum("n")}`;
}

/** Which encodings the pixels came in, in all runs. */
function encodings(plays) {
  const sums = {};
  for (const play of plays) {
    for (const [name, share] of Object.entries(play.encodings ?? {})) sums[name] = (sums[name] ?? 0) + share / plays.length;
  }
  return Object.entries(sums).sort((a, b) => b[1] - a[1]).map(([name, share]) => `${name} ${show(share * 100, 0)} %`).join(", ") || "–";
}
