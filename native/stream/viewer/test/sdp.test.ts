import assert from "node:assert/strict";
import { test } from "node:test";
import { apartTcp, restarted } from "../src/sdp.ts";

const UDP = "a=candidate:1 1 udp 2130706431 192.0.2.1 4000 typ host\r\n";
const TCP = "a=candidate:2 1 tcp 1671430143 192.0.2.1 4001 typ host tcptype passive\r\n";
const ANSWER = `v=0\r\na=group:BUNDLE 0 1\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n${UDP}${TCP}a=end-of-candidates\r\n`
  + "a=ice-ufrag:old1\r\na=ice-pwd:oldoldoldoldoldoldoldold\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:1\r\n"
  + "a=ice-ufrag:old1\r\na=ice-pwd:oldoldoldoldoldoldoldold\r\n";

test("candidates over TCP are set apart, and all else is as it was", () => {
  const { sdp, candidates } = apartTcp(ANSWER);
  assert.equal(sdp, ANSWER.replace(TCP, ""));
  assert.deepEqual(candidates, [TCP.slice(2).trimEnd()]);
  assert.deepEqual(apartTcp(sdp), { sdp, candidates: [] });
});

test("a restart changes credentials and candidates in every section, and nothing else", () => {
  const moved = UDP.replace("4000", "5000");
  const fragment = `a=ice-ufrag:new1\r\na=ice-pwd:newnewnewnewnewnewnewnew\r\nm=video 9 X 96\r\na=mid:0\r\n${moved}a=end-of-candidates\r\n`;
  const expected = ANSWER.replaceAll("old", "new").replace(UDP, moved).replace(TCP, "").replace("a=end-of-candidates\r\n", "");
  assert.equal(restarted(ANSWER, fragment), expected);
  assert.equal(restarted(ANSWER, "a=mid:0\r\n"), undefined);
});
