import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode } from "../src/messages.ts";
import { inStereo, redundantFirst } from "../src/sdp.ts";
import { loudness, noMicrophone } from "../src/sound.ts";

test("an offer asks for both sides of Opus, once, and is left alone without it", () => {
  const offer = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\na=rtpmap:111 opus/48000/2\r\n"
    + "a=fmtp:111 minptime=10;useinbandfec=1\r\na=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n";
  const stereo = inStereo(offer);
  assert.match(stereo, /^a=fmtp:111 stereo=1;minptime=10;useinbandfec=1\r$/m);
  assert.match(stereo, /^a=fmtp:63 111\/111\r$/m);
  assert.equal(inStereo(stereo), stereo);
  assert.equal(inStereo("v=0\r\nm=video 9 UDP 96\r\n"), "v=0\r\nm=video 9 UDP 96\r\n");
});

test("redundant packets come first, and nothing is lost of the others' order", () => {
  const types = ["audio/opus", "audio/red", "audio/G722"].map((mimeType) => ({ mimeType }));
  assert.deepEqual(redundantFirst(types).map(({ mimeType }) => mimeType), ["audio/red", "audio/opus", "audio/G722"]);
  assert.deepEqual(redundantFirst([]), []);
});

test("messages of sound have the fields that are read, and what is missing is off", () => {
  assert.equal(encode({ t: "sound", hear: true, speak: false }), '{"t":"sound","hear":true,"speak":false}');
  assert.deepEqual(decode('{"t":"sound","microphone":true,"recording":1}'), { t: "sound", microphone: true, recording: false });
});

test("volume is loud by its cube and within bounds", () => {
  assert.deepEqual([-5, 0, 50, 100, 900].map(loudness), [0, 0, 0.125, 1, 1]);
});

test("why there is no microphone is told from the browser's answer", () => {
  const named = (name: string) => Object.assign(new Error("words"), { name });
  const names = ["NotAllowedError", "SecurityError", "NotFoundError", "OverconstrainedError", "NotReadableError"];
  assert.deepEqual(names.map((name) => noMicrophone(named(name))), ["refused", "refused", "none", "none", "busy"]);
});
