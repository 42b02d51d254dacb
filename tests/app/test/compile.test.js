// ArkTS to modules: what is kept, what is refused, and where an error points.
import assert from "node:assert/strict";
import { test } from "node:test";
import { mountSource } from "../lib/harness/node.js";

const index = (build, before = "", members = "") => `${before}
@Entry
@ComponentV2
struct Index {
  ${members}
  build() { Column() { ${build} } }
}`;

test("builders of a component and of a file, with live values by reference and fixed ones by value", async () => {
  const app = await mountSource(index(
    `byReference({ text: this.text }); byValue(this.text); this.own(); this.local('x'); Button('go').onClick(() => { this.text = 'b'; })`, `
  interface Given { text: string }
  @Builder function byReference($$: Given) { Text('ref ' + $$.text) }
  @Builder function byValue(text: string) { Text('val ' + text) }`, `
  @Local text: string = 'a';
  @Builder own() { Text('own ' + this.text) }
  @LocalBuilder local(suffix: string) { Text('local ' + this.text + suffix) }`));
  await app.click("go");
  assert.deepEqual(app.texts(), ["ref b", "val a", "own b", "local bx", "go"]);
});

test("builders as parameters: arrow, trailing closure, default; a method handed on runs as the receiver's", async () => {
  const app = await mountSource(index(`
    Box({ content: () => { this.mine() } })
    Box() { Text('trailing ' + this.name) }
    Box()
    Box({ content: this.mine })`, `
  @ComponentV2 struct Box {
    name: string = 'box';
    @BuilderParam content: () => void = this.standard;
    @Builder standard() { Text('default ' + this.name) }
    build() { Column() { this.content() } }
  }`, `
  name: string = 'index';
  @Builder mine() { Text('mine ' + this.name) }`));
  assert.deepEqual(app.texts(), ["mine index", "trailing index", "default box", "mine box"]);
});

test("imports over files: structs, builders, classes, types alone, a default", async () => {
  const app = await mountSource(index(`Piece({ thing: this.thing }) { head('in') }; head(words(2))`, `
  import { Piece, head as head, Shape } from '../components/piece';
  import words from '../model/words';
  import { Thing } from '../model/thing';`, `thing: Thing = new Thing('t'); shape: Shape = { a: 1 };`), { files: {
    "components/piece.ets": `
    import { Thing } from '../model/thing';
    export interface Shape { a: number }
    @Builder export function head(text: string) { Text('# ' + text) }
    @ComponentV2 export struct Piece { @Param @Require thing: Thing; @BuilderParam inside: () => void = this.none; @Builder none() {} build() { Row() { Text(this.thing.name); this.inside() } } }`,
    "model/words.ets": `export default function words(count: number): string { return 'w'.repeat(count); }`,
    "model/thing.ts": `export class Thing { constructor(public name: string) {} }`,
  } });
  assert.deepEqual(app.texts(), ["t", "# in", "# ww"]);
});

test("two-way binding: !! of components of ours and of the system, $$", async () => {
  const app = await mountSource(index(`
    Stepper1({ value: this.count!! })
    TextInput({ text: this.text!!, placeholder: 'name' })
    Toggle({ type: ToggleType.Switch, isOn: $$this.on }).id('toggle')
    Text(this.count + ' ' + this.text + ' ' + this.on)
    Button('reset').onClick(() => { this.count = 0; this.text = ''; this.on = false; })`, `
  @ComponentV2 struct Stepper1 {
    @Param value: number = 0;
    @Event $value: (value: number) => void = () => {};
    build() { Button('+' + this.value).id('plus').onClick(() => { this.$value(this.value + 1); }) }
  }`, `@Local count: number = 1; @Local text: string = 'x'; @Local on: boolean = false;`));
  await app.click("#plus");
  await app.type(".TextInput", "hello");
  await app.click("#toggle");
  assert.ok(app.sees("2 hello true"), app.texts());
  await app.click("reset");
  assert.ok(app.sees("0  false"), app.texts());
  assert.equal(app.find(".TextInput").value, "");
  assert.equal(app.find("#toggle").getAttribute("aria-checked"), "false");
});

test("resources: texts with values, plurals, languages, colours of both modes", async () => {
  const resources = { qualifiers: {
    base: { string: { hello: "Hello %s, %d%%", order: "%2$s before %1$s" }, plural: { vms: { one: "%d machine", other: "%d machines" } }, color: { tint: "#FF112233" } },
    zh_CN: { string: { hello: "你好 %s，%d%%" }, plural: { vms: { other: "%d 台虚拟机" } } }, dark: { color: { tint: "#445566" } },
  }, media: { base: { ic_a: { svg: '<svg width="24" height="24"></svg>' } } } };
  const text = index(`
    Text($r('app.string.hello', 'Ada', 5)); Text($r('app.string.order', 'a', 'b')); Text($r('app.plural.vms', 1, 1)); Text($r('app.plural.vms', 3, 3))
    Text(this.context().resourceManager.getStringByNameSync('hello', 'x', 1)).fontColor($r('app.color.tint'))
    Text(this.context().resourceManager.getStringSync($r('app.string.order').id, '1', '2'))
    Image($r('app.media.ic_a')).fillColor($r('sys.color.brand'))`, `import { common } from '@kit.AbilityKit';`,
  `context(): common.UIAbilityContext { return this.getUIContext().getHostContext() as common.UIAbilityContext; }`);
  const english = await mountSource(text, { resources });
  assert.deepEqual(english.texts(), ["Hello Ada, 5%", "b before a", "1 machine", "3 machines", "Hello x, 1%", "2 before 1"]);
  assert.match(english.all(".Text")[4].getAttribute("style"), /rgb\(17,34,51\)/);
  assert.match(english.find(".Image").getAttribute("style"), /rgb\(10,89,247\)/);
  const chinese = await mountSource(text, { resources, language: "zh_CN", dark: true });
  assert.deepEqual(chinese.texts().slice(0, 4), ["你好 Ada，5%", "b before a", "1 台虚拟机", "3 台虚拟机"]);
  assert.match(chinese.all(".Text")[4].getAttribute("style"), /rgb\(68,85,102\)/);
});

const refused = [
  ["a component that is not there", "Gauge({ value: 3 })", /Index\.ets:6: no component Gauge here/],
  ["an attribute that is not there", "Text('x').sparkle(3)", /Index\.ets:6: Text: the preview has no attribute sparkle/],
  ["a resource that is not there", "Text($r('app.string.nowhere'))", /\$r\("app\.string\.nowhere"\): there is no such resource/],
  ["a system's colour that is not there", "Text('x').fontColor($r('sys.color.purple'))", /sys\.color\.purple/],
  ["a statement that describes nothing", "let a = 1", /Index\.ets:6: only components, if and calls of builders/],
  ["a length that is none", "Text('x').width('wide')", /Index\.ets:6: Text\.width: "wide" is no length/],
  ["a text of an object", "Text({ a: 1 })", /a text cannot be made of/],
  ["two children of what takes one", "Scroll() { Text('a'); Text('b') }", /Scroll: it has 2 children, and takes one/],
  ["children of a Button with a label", "Button('a') { Text('b') }", /Button: it has a label, so it takes no children/],
  ["a child where it may not stand", "ListItem() { Text('a') }", /ListItem: it stands in Column, and may stand in List or ListItemGroup alone/],
  ["a parent's other children", "List() { Text('a') }", /Text: List takes ListItem and ListItemGroup alone/],
  ["a member of an enumeration that is not there", "Column() {}.alignItems(7)", /7 is no member of HorizontalAlign/],
];
for (const [name, build, message] of refused) {
  test(`refused: ${name}`, async () => {
    await assert.rejects(() => mountSource(index(build)), (error) => {
      assert.match(error.message, message);
      return true;
    });
  });
}

test("refused: two roots, attributes beside a trailing closure", async () => {
  await assert.rejects(() => mountSource(`@Entry @ComponentV2 struct Index { build() { Text('a'); Text('b') } }`), /build\(\) of Index has 2 roots/);
  await assert.rejects(() => mountSource(index("Box() { Text('a') }.width(3)", "@ComponentV2 struct Box { @BuilderParam content: () => void; build() { this.content() } }")),
    /Index\.ets:6: Box has a trailing closure, so it takes no attributes/);
});

test("refused: what a kit, the native module or a UIContext lacks, where it is used", async () => {
  const app = await mountSource(index(`
    Button('kit').onClick(() => { promptAction.showToast({ message: 'x' }); router.pushUrl({ url: 'x' }); })
    Button('native').onClick(() => { native.magic(); }); Button('context').onClick(() => { this.getUIContext().getAtomicServiceBar(); })`,
  `import { promptAction, router } from '@kit.ArkUI'; import native from 'libsampan.so';`), { native: {} });
  await assert.rejects(() => app.click("kit"), /the preview has no @kit\.ArkUI\.router/);
  await assert.rejects(() => app.click("native"), /libsampan\.so has no magic/);
  await assert.rejects(() => app.click("context"), /the preview has no UIContext\.getAtomicServiceBar/);
  await assert.rejects(() => mountSource(index("Text('x')", "import { x } from './nowhere'")), /import from "\.\/nowhere": there is no such file/);
  await assert.rejects(() => mountSource(index("Text('x')", "import fs from 'fs'")), /neither a kit, a file of the app nor the native module/);
});

test("an error in a handler points to its line in the source", async () => {
  const app = await mountSource(index(`Button('go')\n    .onClick(() => {\n      throw new Error('mine'); })`));
  await assert.rejects(() => app.click("go"), (error) => /mine/.test(error.message) && /Index\.ets:8/.test(error.stack));
});

test("syntax that is wrong is named with its place", async () => {
  await assert.rejects(() => mountSource(index("Text('x'")), /Index\.ets:\d+/);
});

test("enumerations have the values of the declarations", async () => {
  const app = await mountSource(index(`Text([FlexAlign.SpaceBetween, KeyType.Up, FontWeight.Bold, KeyCode.KEYCODE_A, ConfigurationConstant.ColorMode.COLOR_MODE_DARK, window.WindowStatusType.MAXIMIZE].join(' '))`,
    `import { KeyCode } from '@kit.InputKit'; import { ConfigurationConstant } from '@kit.AbilityKit'; import { window } from '@kit.ArkUI';`));
  assert.deepEqual(app.texts(), ["3 1 4 2017 0 2"]);
});
