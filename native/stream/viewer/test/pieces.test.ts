import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff, LONGEST_MS } from "../src/backoff.ts";
import { fileName } from "../src/capture.ts";
import { figures, sample, soundFigures, soundSample } from "../src/stats.ts";
import { takeToken, tokenIn } from "../src/token.ts";
import { TouchSlots } from "../src/touch.ts";
import { sdpFragment } from "../src/whep.ts";

test("pauses grow, are bounded and start again", () => {
  const backoff = new Backoff(() => 1);
  const pauses = Array.from({ length: 8 }, () => backoff.next());
  assert.deepEqual(pauses, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
  backoff.reset();
  assert.equal(backoff.next(), 250);
  const spread = new Backoff(() => 0);
  assert.equal(spread.next(), 188);
  assert.ok(LONGEST_MS === 8000);
});

test("the key is taken from the fragment, kept for a reload, and hidden", () => {
  assert.equal(tokenIn("#token=a-b_c"), "a-b_c");
  assert.equal(tokenIn("#other=1"), undefined);
  let stored: string | null = null;
  let hidden = 0;
  const home = (hash: string, works: boolean) => ({
    hash,
    load: () => stored,
    save: (token: string) => {
      if (works) stored = token;
      return works;
    },
    hideFragment: () => {
      hidden += 1;
    },
  });
  assert.equal(takeToken(home("#token=x", false)), "x");
  assert.equal(hidden, 0, "without storage the fragment stays, or a reload would not come back");
  assert.equal(takeToken(home("#token=x", true)), "x");
  assert.equal(hidden, 1);
  assert.equal(takeToken(home("", true)), "x", "a reload");
  assert.equal(takeToken(home("#token=y", true)), "y", "a newer address wins");
});

test("fingers get the lowest free slot", () => {
  const touches = new TouchSlots();
  assert.deepEqual([touches.begin(70), touches.begin(71)], [0, 1]);
  assert.equal(touches.end(70), 0);
  assert.equal(touches.begin(72), 0);
  assert.equal(touches.get(71), 1);
  assert.equal(touches.end(99), undefined);
  for (let finger = 100; finger < 108; finger++) touches.begin(finger);
  assert.equal(touches.begin(200), undefined);
});

test("a fragment carries the credentials, one media line and the candidates", () => {
  const offer = [
    "v=0", "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=ice-ufrag:abcd", "a=ice-pwd:pw",
    "a=mid:0", "m=video 9 UDP/TLS/RTP/SAVPF 96", "a=mid:1", "",
  ].join("\r\n");
  assert.equal(
    sdpFragment(offer, ["candidate:1 1 udp 1 127.0.0.1 9 typ host"], true),
    "a=ice-ufrag:abcd\r\na=ice-pwd:pw\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
      + "a=mid:0\r\na=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\na=end-of-candidates\r\n",
  );
});

test("figures come from the difference of two samples", () => {
  const report = (timestamp: number, frames: number) => new Map<string, unknown>([
    ["v", {
      type: "inbound-rtp", kind: "video", codecId: "c", timestamp, framesDecoded: frames,
      bytesReceived: frames * 1000, totalDecodeTime: frames * 0.004, jitterBufferDelay: frames * 0.01,
      jitterBufferEmittedCount: frames, packetsLost: 1, frameWidth: 640, frameHeight: 480,
    }],
    ["c", { type: "codec", mimeType: "video/H264" }],
    ["p", { type: "candidate-pair", nominated: true, currentRoundTripTime: 0.002, localCandidateId: "l", remoteCandidateId: "r" }],
    ["l", { type: "local-candidate", candidateType: "host", protocol: "udp" }],
    ["r", { type: "remote-candidate", candidateType: "relay", protocol: "udp" }],
  ]);
  const before = sample(report(1000, 30));
  const after = sample(report(3000, 150));
  assert.ok(before && after);
  assert.equal(after.codec, "H264");
  assert.deepEqual(after.path, { protocol: "udp", relayed: true });
  const result = figures(before, after);
  assert.ok(result);
  assert.equal(result.fps, 60);
  assert.equal(result.kilobitsPerSecond, 480);
  assert.equal(result.decodeMs?.toFixed(3), "4.000");
  assert.equal(result.bufferMs?.toFixed(3), "10.000");
  assert.equal(result.roundTripMs, 2);
  assert.equal(figures(after, before), undefined);
  assert.equal(sample(new Map()), undefined);
});

test("the sound's figures come from its own samples", () => {
  const report = (timestamp: number, packets: number, mimeType = "audio/opus") => new Map<string, unknown>([
    ["v", { type: "inbound-rtp", kind: "video", timestamp, packetsReceived: 9, bytesReceived: 9 }],
    ["a", {
      type: "inbound-rtp", kind: "audio", codecId: "c", timestamp, packetsReceived: packets, bytesReceived: packets * 120, packetsLost: 3,
      jitterBufferDelay: packets * 480 * 0.012, jitterBufferEmittedCount: packets * 480, concealedSamples: 9600, silentConcealedSamples: 4800,
    }],
    ["c", { type: "codec", mimeType }],
  ]);
  const before = soundSample(report(1000, 100));
  const after = soundSample(report(3000, 300));
  assert.ok(before && after);
  assert.equal(after.codec, "opus");
  assert.equal(soundSample(report(1, 1, "audio/red"))?.codec, "opus, red");
  const result = soundFigures(before, after);
  assert.ok(result);
  assert.deepEqual([result.comes, result.kilobitsPerSecond, result.packetsLost, result.concealedMs], [true, 96, 3, 100]);
  assert.equal(result.bufferMs?.toFixed(3), "12.000");
  // A silent guest sends nothing.
  const silent = soundFigures(after, { ...after, timestamp: 4000 });
  assert.deepEqual([silent?.comes, silent?.kilobitsPerSecond, silent?.bufferMs], [false, 0, undefined]);
  assert.equal(soundFigures(after, before), undefined);
  assert.equal(soundSample(new Map([["v", { type: "inbound-rtp", kind: "video" }]])), undefined);
});

test("files are named for what they show, without what file systems refuse", () => {
  const at = new Date(2026, 0, 2, 3, 4, 5);
  assert.equal(fileName("debian", at, "png"), "debian 2026-01-02 030405.png");
  assert.equal(fileName("../a:b\u0000", at, "webm"), "a-b 2026-01-02 030405.webm");
  assert.equal(fileName(" ", at, "png"), "sampan 2026-01-02 030405.png");
  assert.equal(fileName("中文", at, "png"), "中文 2026-01-02 030405.png");
});
