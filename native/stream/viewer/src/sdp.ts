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
