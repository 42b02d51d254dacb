// State management V2 as its documentation has it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { mountSource } from "../lib/harness/node.js";

const page = (members, build, before = "") => `
${before}
@Entry
@ComponentV2
struct Index {
${members}
  build() { Column() { ${build} } }
}`;

test("a @Local draws again what reads it, and nothing else", async () => {
  const app = await mountSource(page(`
    @Local count: number = 0;
    drawn: string[] = [];
    note(what: string): string { this.drawn.push(what); return what; }`,
  `Text(this.note('still')); Text(this.note('now ' + this.count)); Button('more').onClick(() => { this.count++; this.count++; })`));
  assert.deepEqual(app.texts(), ["still", "now 0", "more"]);
  await app.click("more");
  assert.deepEqual(app.texts(), ["still", "now 2", "more"]);
  assert.deepEqual(app.page.drawn, ["still", "now 0", "now 2"]);
});

test("a property without @Trace is not seen, one with it is, in nested objects too", async () => {
  const app = await mountSource(page(`
    person: Person = new Person();`,
  `Text('age ' + this.person.age); Text('plain ' + this.person.plain); Text('pet ' + this.person.pet.name)
   Button('change').onClick(() => { this.person.plain = 9; this.person.pet.name = 'Rex'; })
   Button('birthday').onClick(() => { this.person.age++; })`, `
  @ObservedV2 class Pet { @Trace name: string = 'Tom'; }
  @ObservedV2 class Person { @Trace age: number = 1; plain: number = 0; pet: Pet = new Pet(); }`));
  await app.click("change");
  assert.deepEqual(app.texts().slice(0, 3), ["age 1", "plain 0", "pet Rex"]);
  await app.click("birthday");
  assert.deepEqual(app.texts().slice(0, 3), ["age 2", "plain 0", "pet Rex"]);
});

test("arrays, maps, sets and dates are seen through their methods", async () => {
  const app = await mountSource(page(`
    @Local list: number[][] = [[1], [2]];
    @Local map: Map<string, number> = new Map<string, number>();
    @Local set: Set<string> = new Set<string>();
    @Local date: Date = new Date(2026, 0, 1);`,
  `Text(this.list.map((one: number[]) => one.join('+')).join(' ')); Text('map ' + (this.map.get('a') ?? 0)); Text('set ' + this.set.size); Text('' + this.date.getFullYear())
   Button('change').onClick(() => { this.list[0].push(5); this.list.push([7]); this.map.set('a', 3); this.set.add('x'); this.date.setFullYear(2030); })`));
  assert.deepEqual(app.texts().slice(0, 4), ["1 2", "map 0", "set 0", "2026"]);
  await app.click("change");
  assert.deepEqual(app.texts().slice(0, 4), ["1+5 2 7", "map 3", "set 1", "2030"]);
});

test("@Monitor is told once of what has changed in one go, with the values before and now", async () => {
  const app = await mountSource(page(`
    info: Info = new Info();
    said: string[] = [];
    @Local tab: number = 0;
    @Monitor('tab') onTab(monitor: IMonitor): void { this.said.push('tab ' + monitor.value<number>()?.before + ' ' + monitor.value<number>()?.now); }`,
  `Text('x'); Button('both').onClick(() => { this.info.name = 'B'; this.info.age = 3; this.info.age = 4; this.tab = 1; })
   Button('none').onClick(() => { this.info.age = 9; this.info.age = 4; })`, `
  @ObservedV2 class Info {
    @Trace name: string = 'A'; @Trace age: number = 1; said: string[] = [];
    @Monitor('name', 'age') change(monitor: IMonitor): void {
      monitor.dirty.forEach((path: string) => { this.said.push(path + ' ' + monitor.value(path)?.before + '→' + monitor.value(path)?.now); });
    }
  }`));
  await app.click("both");
  assert.deepEqual(app.page.info.said, ["name A→B", "age 1→4"]);
  assert.deepEqual(app.page.said, ["tab 0 1"]);
  await app.click("none");
  assert.equal(app.page.info.said.length, 2, "a value that came back has not changed");
});

test("a monitor of an array sees another array and its length, not what is pushed", async () => {
  const app = await mountSource(page(`
    @Local list: number[] = [1];
    said: string[] = [];
    @Monitor('list') whole(monitor: IMonitor): void { this.said.push('whole'); }
    @Monitor('list.length') length(monitor: IMonitor): void { this.said.push('length'); }
    @Monitor('list.0') first(monitor: IMonitor): void { this.said.push('first'); }`,
  `Button('push').onClick(() => { this.list.push(2); }); Button('set').onClick(() => { this.list = [1, 2]; }); Button('first').onClick(() => { this.list[0] = 8; })`));
  await app.click("push");
  assert.deepEqual(app.page.said.splice(0), ["length"]);
  await app.click("set");
  assert.deepEqual(app.page.said.splice(0), ["whole"]);
  await app.click("first");
  assert.deepEqual(app.page.said, ["first"]);
});

test("@Computed is computed once a change and kept; between change and update it is the old one", async () => {
  const app = await mountSource(page(`
    @Local first: string = 'Ada';
    @Local last: string = 'L';
    runs: number = 0;
    between: string = '';
    @Computed get whole(): string { this.runs++; return this.first + ' ' + this.last; }`,
  `Text(this.whole); Text(this.whole + '!'); Button('go').onClick(() => { this.first = 'Bo'; this.last = 'M'; this.between = this.whole; })`));
  assert.equal(app.page.runs, 1);
  await app.click("go");
  assert.deepEqual(app.texts().slice(0, 2), ["Bo M", "Bo M!"]);
  assert.equal(app.page.runs, 2);
  assert.equal(app.page.between, "Ada L");
});

test("computed first, then monitors, then nodes, parents before children", async () => {
  const app = await mountSource(`
  const said: string[] = [];
  function note(text: string): string { said.push(text); return text; }
  export function all(): string[] { return said; }
  @ComponentV2
  struct Child {
    @Param value: number = 0;
    @Monitor('value') changed(monitor: IMonitor): void { note('child monitor'); }
    build() { Text(note('child ' + this.value)) }
  }
  @Entry
  @ComponentV2
  struct Index {
    @Local value: number = 0;
    @Computed get twice(): number { note('computed'); return this.value * 2; }
    @Monitor('value') changed(monitor: IMonitor): void { note('monitor'); }
    build() { Column() { Text(note('parent ' + this.twice)); Child({ value: this.value }); Button('go').onClick(() => { said.splice(0); this.value = 1; }) } }
  }`);
  await app.click("go");
  assert.deepEqual(app.module.all(), ["computed", "monitor", "parent 2", "child monitor", "child 1"]);
});

test("@Param follows from outside, and may not be assigned from inside", async () => {
  const app = await mountSource(`
  @ComponentV2
  struct Child {
    @Param value: number = 0;
    @Param @Once first: number = 0;
    @Event onMore: (by: number) => void = () => {};
    build() { Column() {
      Text(this.value + ' ' + this.first)
      Button('wrong').onClick(() => { this.value = 3; })
      Button('own').onClick(() => { this.first = 30; })
      Button('ask').onClick(() => this.onMore(5))
    } }
  }
  @Entry
  @ComponentV2
  struct Index {
    @Local value: number = 1;
    build() { Column() { Child({ value: this.value, first: this.value, onMore: (by: number) => { this.value += by; } }) } }
  }`);
  await app.click("ask");
  assert.ok(app.sees("6 1"));
  await app.click("own");
  assert.ok(app.sees("6 30"));
  await assert.rejects(() => app.click("wrong"), /Child\.value: a @Param may not be assigned from inside/);
});

test("what is not a @Param cannot be set from outside, and a missing @Require is an error", async () => {
  const parent = (params) => `
  @ComponentV2
  struct Child { @Local value: number = 0; plain: number = 1; @Param @Require need: string; build() { Text('x') } }
  @Entry
  @ComponentV2
  struct Index { build() { Column() { Child({ ${params} }) } } }`;
  await assert.rejects(() => mountSource(parent("need: 'a', value: 3")), /Index\.ets:6: Child\.value is @Local: it cannot be set from outside/);
  await assert.rejects(() => mountSource(parent("need: 'a', plain: 3")), /Child\.plain is no @Param/);
  await assert.rejects(() => mountSource(parent("")), /Index\.ets:6: Child: @Require need is missing/);
});

test("@Provider and @Consumer share a value both ways, by name, over components between", async () => {
  const app = await mountSource(`
  @ComponentV2 struct Leaf {
    @Consumer('mode') mine: string = 'none';
    @Consumer() alone: string = 'default';
    build() { Column() { Text('leaf ' + this.mine); Text(this.alone); Button('night').onClick(() => { this.mine = 'night'; }) } }
  }
  @ComponentV2 struct Middle { build() { Column() { Leaf() } } }
  @Entry
  @ComponentV2 struct Index {
    @Provider('mode') theme: string = 'day';
    build() { Column() { Text('root ' + this.theme); Button('dusk').onClick(() => { this.theme = 'dusk'; }); Middle() } }
  }`);
  assert.deepEqual(app.texts(), ["root day", "dusk", "leaf day", "default", "night"]);
  await app.click("night");
  assert.deepEqual(app.texts().filter((one) => one.includes(" ")), ["root night", "leaf night"]);
  await app.click("dusk");
  assert.deepEqual(app.texts().filter((one) => one.includes(" ")), ["root dusk", "leaf dusk"]);
});

test("AppStorageV2 gives the same object everywhere", async () => {
  const app = await mountSource(page(`
    one: Store = AppStorageV2.connect(Store, () => new Store())!;
    two: Store = AppStorageV2.connect(Store, 'Store')!;
    none: Store | undefined = AppStorageV2.connect(Store, 'other');`,
  `Text('n ' + this.two.n); Button('go').onClick(() => { this.one.n++; })`, `
  import { AppStorageV2 } from '@kit.ArkUI';
  @ObservedV2 class Store { @Trace n: number = 0; }`));
  await app.click("go");
  assert.ok(app.sees("n 1"));
  assert.equal(app.page.none, undefined);
});

test("Repeat keeps the nodes of its keys and tells them item and index", async () => {
  const app = await mountSource(page(`
    @Local list: Row[] = [new Row('a'), new Row('b'), new Row('c')];`,
  `Repeat<Row>(this.list).each((one: RepeatItem<Row>) => { Text(one.item.name + one.index) }).key((one: Row) => one.name)
   Button('turn').onClick(() => { this.list.reverse(); }); Button('drop').onClick(() => { this.list.splice(1, 1); })
   Button('again').onClick(() => { this.list[0] = new Row('c'); })`, `
  @ObservedV2 class Row { @Trace name: string = ''; constructor(name: string) { this.name = name; } }`));
  const [a, , c] = app.all(".Text");
  await app.click("turn");
  assert.deepEqual(app.texts().slice(0, 3), ["c0", "b1", "a2"]);
  assert.equal(app.all(".Text")[0], c);
  assert.equal(app.all(".Text")[2], a);
  await app.click("drop");
  assert.deepEqual(app.texts().slice(0, 2), ["c0", "a1"]);
  await app.click("again");
  assert.equal(app.all(".Text")[0], c);
});

test("ForEach leaves a row alone whose key comes again; two equal keys are an error", async () => {
  const app = await mountSource(page(`
    @Local list: string[] = ['1:a', '2:b'];`,
  `ForEach(this.list, (one: string) => { Text(one) }, (one: string) => one.split(':')[0])
   Button('go').onClick(() => { this.list = ['1:x', '3:c']; }); Button('twice').onClick(() => { this.list = ['1:x', '1:y']; })`));
  await app.click("go");
  assert.deepEqual(app.texts().slice(0, 2), ["1:a", "3:c"]);
  await assert.rejects(() => app.click("twice"), /two rows have the key 1/);
});

test("components appear and disappear with their branch", async () => {
  const app = await mountSource(`
  const said: string[] = [];
  export function all(): string[] { return said; }
  @ComponentV2 struct Child {
    @Param name: string = '';
    aboutToAppear(): void { said.push('appear ' + this.name); }
    aboutToDisappear(): void { said.push('disappear ' + this.name); }
    build() { Text(this.name) }
  }
  @Entry
  @ComponentV2 struct Index {
    @Local mode: number = 0;
    build() { Column() {
      if (this.mode === 0) { Child({ name: 'a' }) } else if (this.mode === 1) { Child({ name: 'b' }) }
      Button('next').onClick(() => { this.mode++; })
    } }
  }`);
  await app.click("next");
  await app.click("next");
  assert.deepEqual(app.module.all(), ["appear a", "disappear a", "appear b", "disappear b"]);
  assert.deepEqual(app.texts(), ["next"]);
});

test("a page that changes what it reads is found", async () => {
  await assert.rejects(() => mountSource(page(`
    @Local a: number = 0;
    @Monitor('a') more(monitor: IMonitor): void { this.a++; }
    aboutToAppear(): void { this.a = 1; }`, `Text('' + this.a)`)), /endless update/);
});
