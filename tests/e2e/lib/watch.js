// What a viewer's page gets to see over a while: when each picture was shown, and what the browser counts.

/** Runs in the page: notes from now on when pictures are shown. */
function begin() {
  const video = document.querySelector("video");
  const watch = { at: [performance.now()], going: true };
  globalThis.sampanWatch = watch;
  const next = (now) => {
    if (!watch.going) return;
    watch.at.push(now);
    // The connection may be another one meanwhile, but the element is the same.
    video.requestVideoFrameCallback(next);
  };
  video.requestVideoFrameCallback(next);
}

/** Runs in the page. */
function end() {
  const watch = globalThis.sampanWatch;
  watch.going = false;
  return [...watch.at, performance.now()];
}

/** Runs in the page: what the browser counts of the picture and of its path. */
async function count() {
  const peer = globalThis.sampanPeers.at(-1);
  const stats = [...(await peer.getStats()).values()];
  const video = stats.find(({ type, kind }) => type === "inbound-rtp" && kind === "video") ?? {};
  const transport = stats.find(({ type }) => type === "transport") ?? {};
  const pair = stats.find(({ id }) => id === transport.selectedCandidatePairId) ?? {};
  const remote = stats.find(({ id }) => id === pair.remoteCandidateId) ?? {};
  return { video, pair, remote, peers: globalThis.sampanPeers.length, now: performance.now() };
}

/**
 * Freezes in the sense of webrtc-stats (`freezeCount`): the time between two pictures is longer than three times the mean of the last
 * thirty, and than that mean and 150 ms.
 */
export function freezes(times) {
  const found = [];
  const recent = [];
  for (let n = 1; n < times.length; n++) {
    const gap = times[n] - times[n - 1];
    const mean = recent.length === 0 ? gap : recent.reduce((sum, one) => sum + one, 0) / recent.length;
    if (recent.length >= 5 && gap >= Math.max(3 * mean, mean + 150)) found.push({ at: times[n - 1], ms: gap });
    recent.push(gap);
    if (recent.length > 30) recent.shift();
  }
  return found;
}

export const counts = (viewer) => viewer.page.evaluate(count);

/** Watches while `work` is done. */
export async function watched(viewer, work) {
  const before = await counts(viewer);
  await viewer.page.evaluate(begin);
  const result = await work();
  const times = await viewer.page.evaluate(end);
  const after = await counts(viewer);
  const gaps = times.slice(1).map((time, n) => time - times[n]);
  const seconds = (times.at(-1) - times[0]) / 1000;
  const grown = (name) => {
    // Another connection counts anew.
    const from = after.peers === before.peers ? (before.video[name] ?? 0) : 0;
    return (after.video[name] ?? 0) - from;
  };
  const found = freezes(times.slice(1, -1));
  return {
    result,
    seconds,
    pictures: times.length - 2,
    longest: Math.max(...gaps),
    freezes: {
      count: found.length,
      total: found.reduce((sum, { ms }) => sum + ms, 0),
      longest: Math.max(0, ...found.map(({ ms }) => ms)),
      counted: grown("freezeCount"),
    },
    keyframes: grown("keyFramesDecoded"),
    asked: grown("pliCount") + grown("firCount"),
    nacks: grown("nackCount"),
    again: grown("retransmittedPacketsReceived"),
    decoded: grown("framesDecoded"),
    quantiser: grown("framesDecoded") > 0 ? grown("qpSum") / grown("framesDecoded") : undefined,
    bits: (grown("bytesReceived") * 8) / seconds,
    size: [after.video.frameWidth, after.video.frameHeight],
    roundTrip: after.pair.currentRoundTripTime === undefined ? undefined : after.pair.currentRoundTripTime * 1000,
    connections: after.peers - before.peers,
    times,
  };
}
