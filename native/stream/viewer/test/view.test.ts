import assert from "node:assert/strict";
import { test } from "node:test";
import type { GuestState, StatusMessage } from "../src/messages.ts";
import { strings } from "../src/strings.ts";
import { noticeFor, stateText } from "../src/view.ts";
import type { ViewState } from "../src/view.ts";

const guest = (state: GuestState, detail = ""): StatusMessage =>
  ({ t: "status", state, detail, absolute: true, name: "vm", touch: true });

const view = (change: Partial<ViewState>): ViewState => ({
  connection: { name: "connected" },
  guest: guest("running"),
  picture: true,
  displayOff: false,
  words: "",
  capture: "none",
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
  const waiting = noticeFor(view({ connection: { name: "waiting", seconds: 4 } }));
  assert.equal(waiting?.retry, true);
  assert.match(waiting?.title ?? "", /4 s/);
  const refused = noticeFor(view({ connection: { name: "refused" } }));
  assert.equal(refused?.retry, undefined);
  assert.equal(refused?.detail, strings.refusedDetail);
});

test("hints about the pointer leave the picture free", () => {
  assert.equal(noticeFor(view({ capture: "wanted" }))?.hint, true);
  assert.equal(noticeFor(view({ capture: "captured" }))?.title, strings.escToRelease);
});

test("the server's own words come before waiting for a picture", () => {
  assert.equal(noticeFor(view({ picture: false, words: "too large" }))?.title, "too large");
  assert.equal(noticeFor(view({ picture: false }))?.title, strings.waitingForPicture);
  assert.equal(noticeFor(view({ displayOff: true }))?.title, strings.displayOff);
});
