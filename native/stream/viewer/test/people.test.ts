import assert from "node:assert/strict";
import { test } from "node:test";
import { decode } from "../src/messages.ts";
import type { PeopleMessage, Person } from "../src/messages.ts";
import { drives, strip } from "../src/people.ts";
import { strings } from "../src/strings.ts";

const person = (id: string, change: Partial<Person> = {}): Person =>
  ({ id, name: `device ${id}`, own: false, may: true, asks: false, refused: false, drives: false, display: 1, ...change });

const people = (you: string, driver: string | null, ...all: Person[]): PeopleMessage =>
  ({ t: "people", you, driver, all: all.map((one) => ({ ...one, drives: one.drives || one.id === driver })) });

const offered = (message: PeopleMessage) => strip(message)?.offers.map(({ step, message: sent }) => [step, JSON.stringify(sent)]);

test("who drives alone is told nothing", () => {
  assert.equal(strip(people("1", "1", person("1"), person("2"))), undefined);
  const [one, two] = [person("1"), person("2")];
  assert.ok(drives(undefined) && drives(people("1", "1", one, two)));
  assert.ok(!drives(people("1", "2", one, two)) && !drives(people("1", null, one, two)));
});

test("who does not drive is told who does, and asks", () => {
  const all = [person("1"), person("2")];
  assert.deepEqual(offered(people("2", "1", ...all)), [["ask", '{"t":"ask"}']]);
  assert.equal(strip(people("2", "1", ...all))?.text, strings.people.notDriving("device 1"));
  assert.deepEqual(offered(people("2", "1", person("1"), person("2", { asks: true }))), [["withdraw", '{"t":"withdraw"}']]);
  assert.equal(strip(people("2", "1", person("1"), person("2", { refused: true })))?.text, strings.people.refused("device 1"));
  assert.deepEqual(offered(people("2", "1", person("1"), person("2", { may: false }))), []);
  assert.deepEqual(offered(people("2", "1", person("1"), person("2", { own: true }))), [["take", '{"t":"ask"}']]);
});

test("a second window of the driver's, on another display, drives as well", () => {
  const beside = people("2", "1", person("1"), person("2", { drives: true, display: 2 }), person("3", { asks: true }));
  assert.ok(drives(beside));
  assert.deepEqual(offered(beside)?.map(([step]) => step), ["give", "refuse"]);
});

test("the driver and the owner answer who asks", () => {
  const all = [person("1"), person("2", { asks: true }), person("3", { own: true })];
  for (const you of ["1", "3"]) {
    assert.deepEqual(offered(people(you, "1", ...all)), [["give", '{"t":"give","to":"2"}'], ["refuse", '{"t":"refuse","to":"2"}']]);
  }
});

test("what the server says of people is read, and nothing that is none", () => {
  const one = person("1");
  assert.deepEqual(decode(JSON.stringify(people("1", null, one))), people("1", null, one));
  assert.deepEqual(decode(JSON.stringify({ t: "people", you: "1", all: [null, 7, { id: "2", own: "yes" }] })),
    people("1", null, { id: "2", name: "", own: false, may: false, asks: false, refused: false, drives: false, display: 1 }));
  assert.equal(decode(JSON.stringify({ t: "people", all: [] })), undefined);
  assert.equal(decode(JSON.stringify({ t: "people", you: "1", all: {} })), undefined);
});
