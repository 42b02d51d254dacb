import assert from "node:assert/strict";
import { test } from "node:test";
import type { GuestState, StatusMessage } from "../src/messages.ts";
import { strings } from "../src/strings.ts";
import { isFinal, ofSignalling } from "../src/failure.ts";
import type { Failure } from "../src/failure.ts";
import { TABLES } from "../src/strings.ts";
import { noticeFor, stateText, untypedText } from "../src/view.ts";
import type { ViewState } from "../src/view.ts";

const guest = (state: GuestState, detail = ""): StatusMessage =>
  ({ t: "status", state, detail, absolute: true, name: "vm", touch: false, files: false });

const view = (change: Partial<ViewState>): ViewState => ({
  connection: { name: "connected" },
  guest: guest("running"),
  picture: true,
  overdue: false,
  displayOff: false,
  display: 1,
  words: "",
  capture: "none",
  told: "",
  ...change,
});

test("a running guest with a picture needs no words over it", () => {
  assert.equal(noticeFor(view({})), undefined);
  assert.deepEqual(stateText(view({})), { text: "vm · Running", lasting: false });
});

test("each way of not running says so and stays in sight", () => {
  for (const state of ["paused", "stopped", "died"] as const) {
    const notice = noticeFor(view({ guest: guest(state) }));
    assert.equal(notice?.title, strings.guest[state]);
    assert.equal(notice?.detail, strings.guestDetail[state]);
    assert.equal(stateText(view({ guest: guest(state) })).lasting, true);
  }
  assert.equal(noticeFor(view({ guest: guest("died", "signal 9") }))?.detail, "signal 9");
});

test("a lost connection offers to try now, a refused one tells what to do", () => {
  const waiting = noticeFor(view({ connection: { name: "waiting", seconds: 4, why: "blocked", words: "" } }));
  assert.equal(waiting?.retry, true);
  assert.match(waiting?.more ?? "", /4 s/);
  assert.match(waiting?.detail ?? "", /UDP/);
  const again = noticeFor(view({ connection: { name: "connecting", after: { why: "blocked", words: "" } } }));
  assert.deepEqual([again?.title, again?.more, again?.retry], [strings.failure.blocked, "Connecting…", true], "the reason stays");
  const refused = noticeFor(view({ connection: { name: "refused", why: "refused" } }));
  assert.equal(refused?.retry, undefined);
  assert.equal(refused?.detail, strings.remedy.refused);
});

test("while another path is looked for the page says so, and lets one connect anew", () => {
  const notice = noticeFor(view({ connection: { name: "rerouting" } }));
  assert.deepEqual([notice?.detail, notice?.retry], [strings.reroutingDetail, true]);
  assert.equal(stateText(view({ connection: { name: "rerouting" } })).lasting, true);
});

test("hints about the pointer leave the picture free", () => {
  assert.equal(noticeFor(view({ capture: "wanted" }))?.hint, true);
  assert.equal(noticeFor(view({ capture: "captured" }))?.title, strings.escToRelease);
});

test("the server's own words come before waiting for a picture", () => {
  assert.equal(noticeFor(view({ picture: false, words: "too large" }))?.title, "too large");
  assert.equal(noticeFor(view({ picture: false }))?.title, strings.waitingForPicture);
  assert.equal(noticeFor(view({ displayOff: true }))?.title, strings.displayOff);
  assert.equal(noticeFor(view({ displayOff: true, display: 2 }))?.detail, strings.displays.dark);
});

test("every failure has a title and says what helps, or the server's own words", () => {
  const statuses: [number, boolean, Failure][] = [
    [0, true, "unreachable"], [0, false, "offline"], [401, true, "refused"], [403, true, "foreign"], [421, true, "foreign"],
    [406, true, "codec"], [503, true, "full"], [500, true, "server"], [404, true, "server"],
  ];
  for (const [status, online, failure] of statuses) assert.equal(ofSignalling(status, online), failure);
  for (const table of Object.values(TABLES)) {
    for (const [failure, title] of Object.entries(table.failure)) {
      assert.notEqual(title, "");
      if (failure !== "server") assert.notEqual(table.remedy[failure as Failure], "", failure);
    }
  }
  assert.deepEqual((["refused", "foreign", "codec", "lost", "blocked"] as const).map(isFinal), [true, true, true, false, false]);
  const server = noticeFor(view({ connection: { name: "waiting", seconds: 1, why: "server", words: "no encoder" } }));
  assert.match(server?.detail ?? "", /no encoder/);
});

test("a picture that never comes is not waited for in silence", () => {
  const notice = noticeFor(view({ picture: false, overdue: true }));
  assert.equal(notice?.title, strings.noPicture);
  assert.equal(notice?.retry, true);
});

test("a text that did not arrive is told, by its code or else in the server's words", () => {
  assert.equal(untypedText({ t: "untyped", code: "untypable", text: "x" }), strings.untyped.untypable);
  assert.equal(untypedText({ t: "untyped", code: "constructor", text: "own words" }), "own words");
  const hint = noticeFor(view({ told: "own words" }));
  assert.deepEqual(hint, { title: "own words", detail: "", hint: true });
});
