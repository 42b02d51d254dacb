/** What an offer says of sound that the browser's interface has no words for. */

/**
 * An offer to hear both sides: Chromium decodes Opus as one channel unless its own description says `stereo=1` (RFC 7587, section 6.1).
 */
export function inStereo(sdp: string): string {
  const opus = /^a=rtpmap:(\d+) opus\/48000\/2\r?$/im.exec(sdp)?.[1];
  if (opus === undefined) return sdp;
  const format = new RegExp(`^(a=fmtp:${opus} )(?!.*\\bstereo=)`, "m");
  return sdp.replace(format, "$1stereo=1;");
}

/** The formats of sound in the order in which they are wanted: redundant packets first, which mend losses without a wait (RFC 2198). */
export function redundantFirst<Format extends { readonly mimeType: string }>(formats: readonly Format[]): Format[] {
  const isRed = ({ mimeType }: Format) => mimeType.toLowerCase() === "audio/red";
  return [...formats.filter(isRed), ...formats.filter((format) => !isRed(format))];
}

/** The candidates of a description that are reached by TCP (RFC 6544), and the description without them. */
export function apartTcp(sdp: string): { readonly sdp: string; readonly candidates: readonly string[] } {
  const lines = sdp.split(/(?<=\n)/);
  const isTcp = (line: string) => /^a=candidate:\S+ \d+ tcp /i.test(line);
  return {
    sdp: lines.filter((line) => !isTcp(line)).join(""),
    candidates: lines.filter(isTcp).map((line) => line.slice(2).trimEnd()),
  };
}

/** A description as it was, with the ICE credentials and candidates of a fragment (RFC 9725, section 4.3.3); nothing if it has none. */
export function restarted(sdp: string, fragment: string): string | undefined {
  const told = fragment.split(/\r?\n/);
  const [ufrag, pwd] = ["a=ice-ufrag:", "a=ice-pwd:"].map((name) => told.find((line) => line.startsWith(name)));
  if (ufrag === undefined || pwd === undefined) return undefined;
  let candidates = told.filter((line) => line.startsWith("a=candidate:"));
  return sdp.split(/\r?\n/).flatMap((line) => {
    if (line.startsWith("a=candidate:") || line === "a=end-of-candidates") return [];
    if (line.startsWith("a=ice-ufrag:")) return [ufrag];
    if (line.startsWith("a=ice-pwd:")) return [pwd];
    if (!line.startsWith("a=mid:")) return [line];
    // Everything goes one way (BUNDLE): the first section's are those of all.
    const first = [line, ...candidates];
    candidates = [];
    return first;
  }).join("\r\n");
}
