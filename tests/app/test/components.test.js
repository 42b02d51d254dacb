// Components: what they show, and what a person does with them.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { mountSource } from "../lib/harness/node.js";
import { site } from "../lib/harness/web.js";
import { serve } from "../lib/harness/serve.js";
import { launch, open } from "../lib/harness/chromium.js";
import { seenTexts } from "../lib/harness/driver.js";

const index = (build, members = "", before = "") => `${before}
@Entry
@ComponentV2
struct Index {
  ${members}
  build() { Column() { ${build} } }
}`;

test("navigation: push, replace, pop with a result, to a name, singletons, the stack's questions", async () => {
  const app = await mountSource(index(`
    Navigation(this.stack) { Text('home') }.title('Title').mode(NavigationMode.Stack).navDestination(this.pages)`, `
  stack: NavPathStack = new NavPathStack();
  said: string[] = [];
  @Builder pages(name: string, param: string) {
    NavDestination() { Text(name + ' ' + param) }.title('T ' + name)
      .onReady((context: NavDestinationContext) => { this.said.push('ready ' + context.pathInfo.name); })
      .onShown(() => { this.said.push('shown ' + name); }).onHidden(() => { this.said.push('hidden ' + name); })
      .onBackPressed(() => { this.said.push('back ' + name); return name === 'stay'; })
  }`));
  const { stack, said } = app.page;
  assert.deepEqual(app.texts(), ["Title", "home"]);
  stack.pushPath({ name: "a", param: "1", onPop: (info) => said.push(`popped ${info.info.name} ${info.result}`) });
  await app.settle();
  assert.deepEqual(app.texts(), ["T a", "a 1"]);
  stack.pushPathByName("b", "2");
  await app.settle();
  assert.deepEqual(app.texts(), ["T b", "b 2"]);
  assert.deepEqual([stack.size(), stack.getAllPathName(), stack.getParamByName("a"), stack.getIndexByName("b")], [2, ["a", "b"], ["1"], [1]]);
  stack.replacePath({ name: "c", param: "3" });
  await app.settle();
  assert.deepEqual(app.texts(), ["T c", "c 3"]);
  assert.equal(await app.back(), true);
  assert.deepEqual(app.texts(), ["T a", "a 1"]);
  stack.pop("done");
  await app.settle();
  assert.deepEqual(app.texts(), ["Title", "home"]);
  assert.deepEqual(said, ["ready a", "shown a", "ready b", "shown b", "hidden a", "ready c", "hidden b", "shown c", "back c", "hidden c", "shown a",
    "popped a done", "hidden a"]);
  assert.equal(await app.back(), false);
  stack.pushPathByName("stay", "");
  await app.settle();
  await app.back();
  assert.equal(stack.size(), 1);
  await app.click("Back");
  assert.equal(stack.size(), 1, "the title bar's arrow asks too");
  stack.pushPathByName("x", "");
  stack.pushPathByName("y", "");
  stack.pushPath({ name: "x", param: "new" }, { launchMode: 2 });
  await app.settle();
  assert.deepEqual(stack.getAllPathName(), ["stay", "x"]);
  stack.popToName("stay");
  stack.clear();
  await app.settle();
  assert.deepEqual(app.texts(), ["Title", "home"]);
});

test("navigation: beside each other where there is room, a dialog over what is below", async () => {
  const app = await mountSource(index(`
    Navigation(this.stack) { Text('list') }.navBarWidth(300).navDestination(this.pages).onNavigationModeChange((mode: NavigationMode) => { this.modes.push(mode); })`, `
  stack: NavPathStack = new NavPathStack();
  modes: NavigationMode[] = [];
  @Builder pages(name: string) {
    if (name === 'ask') { NavDestination() { Text('dialog') }.mode(NavDestinationMode.DIALOG).hideTitleBar(true) }
    else { NavDestination() { Text('detail') }.hideTitleBar(true) }
  }`), { width: 360 });
  app.page.stack.pushPathByName("one", undefined);
  await app.settle();
  assert.deepEqual(app.texts(), ["detail"]);
  await app.resize(900, 700);
  assert.deepEqual(app.texts(), ["list", "detail"]);
  app.page.stack.pushPathByName("ask", undefined);
  await app.settle();
  assert.deepEqual(app.texts(), ["list", "detail", "dialog"]);
  await app.resize(360, 780);
  assert.deepEqual(app.texts(), ["detail", "dialog"]);
  assert.deepEqual(app.page.modes, [0, 1, 0]);
});

test("tabs: bars of text and of builders, two-way index, controller, contents that come later", async () => {
  const app = await mountSource(index(`
    Tabs({ barPosition: BarPosition.End, index: this.tab!!, controller: this.controller }) {
      TabContent() { Text('first') }.tabBar('One')
      TabContent() { Text('second') }.tabBar(this.bar('Two', 1))
      if (this.more) { TabContent() { Text('third') }.tabBar('Three') }
    }.onChange((index: number) => { this.said.push(index); })
    Text('tab ' + this.tab)`, `
  @Local tab: number = 0;
  @Local more: boolean = false;
  said: number[] = [];
  controller: TabsController = new TabsController();
  @Builder bar(text: string, index: number) { Text(text + (this.tab === index ? '*' : '')) }`));
  assert.deepEqual(app.texts(), ["first", "One", "Two", "tab 0"]);
  await app.click("Two");
  assert.deepEqual(app.texts(), ["second", "One", "Two*", "tab 1"]);
  app.page.controller.changeIndex(0);
  await app.settle();
  assert.ok(app.sees("tab 0"));
  app.page.more = true;
  await app.settle();
  app.page.tab = 2;
  await app.settle();
  assert.deepEqual(app.texts(), ["third", "One", "Two", "Three", "tab 2"]);
  assert.deepEqual(app.page.said, [1, 0, 2]);
});

test("a sheet follows its value, closes by mask, button and back, and may refuse", async () => {
  const app = await mountSource(index(`
    Button('open').onClick(() => { this.shown = true; })
      .bindSheet(this.shown!!, this.inside(), { title: { title: 'Sheet' }, height: SheetSize.FIT_CONTENT,
        onWillDismiss: (action: DismissSheetAction) => { this.asked++; if (this.may) { action.dismiss(); } }, onDisappear: () => { this.gone++; } })`, `
  @Local shown: boolean = false; @Local n: number = 0; asked: number = 0; gone: number = 0; may: boolean = true;
  @Builder inside() { Column() { Text('n ' + this.n); Button('add').onClick(() => { this.n++; }); Button('done').onClick(() => { this.shown = false; }) } }`));
  await app.click("open");
  assert.deepEqual(app.overlays, [{ kind: "sheet", texts: ["Sheet", "n 0", "add", "done"] }]);
  await app.click("add");
  assert.ok(app.sees("n 1"));
  await app.click("done");
  assert.deepEqual([app.overlays.length, app.page.gone], [0, 1]);
  await app.click("open");
  app.page.may = false;
  await app.back();
  assert.deepEqual([app.overlays.length, app.page.asked], [1, 1]);
  app.page.may = true;
  await app.click(".mask");
  assert.deepEqual([app.overlays.length, app.page.shown, app.page.gone], [0, false, 2]);
});

test("menus: of items and of builders, by click, right click, long press", async () => {
  const app = await mountSource(index(`
    Button('items').bindMenu([{ value: 'Open', action: () => { this.said.push('open'); } }, { value: 'Off', enabled: false, action: () => { this.said.push('off'); } }])
    Text('thing').bindContextMenu(this.menu(), ResponseType.LongPress).bindContextMenu(this.menu(), ResponseType.RightClick)`, `
  said: string[] = [];
  @Builder menu() { Menu() { MenuItem({ content: 'Copy' }).onClick(() => { this.said.push('copy'); }); MenuItem({ content: 'Cut', labelInfo: 'Ctrl X' }).contentFontColor('#FF0000') } }`));
  await app.click("items");
  assert.deepEqual(app.overlays, [{ kind: "menu", texts: ["Open", "Off"] }]);
  await assert.rejects(() => app.click("Off"), /switched off/);
  await app.click("Open");
  assert.deepEqual([app.page.said, app.overlays], [["open"], []]);
  await app.rightClick("thing");
  assert.deepEqual(app.overlays[0].texts, ["Copy", "Cut", "Ctrl X"]);
  assert.match(app.find("Cut").getAttribute("style"), /rgb\(255,0,0\)/);
  await app.click("Copy");
  assert.deepEqual([app.page.said, app.overlays], [["open", "copy"], []]);
  await app.longPress("thing");
  assert.equal(app.overlays.length, 1);
  await app.key("Escape");
  assert.equal(app.overlays.length, 0);
});

test("dialogs: alert, choice, custom, toast", async () => {
  const app = await mountSource(index(`
    Button('alert').onClick(() => { this.getUIContext().showAlertDialog({ title: 'Sure?', message: 'It goes', autoCancel: true, cancel: () => { this.said.push('cancelled'); },
      primaryButton: { value: 'Keep', action: () => { this.said.push('keep'); } }, secondaryButton: { value: 'Drop', action: () => { this.said.push('drop'); } } }); })
    Button('choice').onClick(() => { this.getUIContext().getPromptAction().showDialog({ title: 'Which', buttons: [{ text: 'A', color: '#000000' }, { text: 'B', color: '#000000' }] })
      .then((data: promptAction.ShowDialogSuccessResponse) => { this.said.push('chose ' + data.index); }).catch((error: BusinessError) => { this.said.push('none ' + error.code); }); })
    Button('custom').onClick(() => { this.getUIContext().getPromptAction().openCustomDialog({ builder: () => { this.body(); } }).then((id: number) => { this.id = id; }); })
    Button('toast').onClick(() => { this.getUIContext().getPromptAction().showToast({ message: 'Gone', duration: 2000 }); })`, `
  said: string[] = []; id: number = 0; @Local n: number = 1;
  @Builder body() { Column() { Text('n ' + this.n); Button('more').onClick(() => { this.n++; }); Button('close').onClick(() => { this.getUIContext().getPromptAction().closeCustomDialog(this.id); }) } }`,
  `import { promptAction } from '@kit.ArkUI'; import { BusinessError } from '@kit.BasicServicesKit';`));
  await app.click("alert");
  assert.deepEqual(app.overlays, [{ kind: "dialog", texts: ["Sure?", "It goes", "Keep", "Drop"] }]);
  await app.click("Drop");
  await app.click("alert");
  await app.back();
  await app.click("choice");
  await app.click("B");
  await app.click("choice");
  await app.back();
  assert.deepEqual(app.page.said, ["drop", "cancelled", "chose 1", "none 103301"]);
  await app.click("custom");
  await app.click("more");
  assert.ok(app.sees("n 2"));
  await app.click("close");
  assert.deepEqual(app.overlays, []);
  await app.click("toast");
  assert.deepEqual(app.toasts, ["Gone"]);
});

test("controls: what is chosen, typed and slid is told; what is off says nothing", async () => {
  const app = await mountSource(index(`
    Slider({ value: this.value, min: 1, max: 16, step: 1 }).id('slider').onChange((value: number, mode: SliderChangeMode) => { this.value = value; this.said.push('slide ' + mode); })
    Text('value ' + this.value)
    Select([{ value: 'x' }, { value: 'y' }]).id('select').selected(0).onSelect((index: number, text: string) => { this.said.push(index + text); })
    Checkbox({ name: 'c', group: 'g' }).id('check').onChange((on: boolean) => { this.said.push('check ' + on); })
    Radio({ value: 'a', group: 'r' }).id('a').checked(true); Radio({ value: 'b', group: 'r' }).id('b').onChange((on: boolean) => { this.said.push('b ' + on); })
    Search({ placeholder: 'find' }).onChange((text: string) => { this.said.push('typed ' + text); }).onSubmit((text: string) => { this.said.push('sent ' + text); })
    Button('off').enabled(false).onClick(() => { this.said.push('never'); })
    Column() { Button('in').onClick(() => { this.said.push('inner'); }) }.onClick(() => { this.said.push('outer'); })`, `
  @Local value: number = 4; said: string[] = [];`));
  await app.set("#slider", 8);
  assert.ok(app.sees("value 8"));
  await app.set("#select", 1);
  await app.click("#check");
  await app.click("#b");
  assert.equal(app.find("#a").getAttribute("aria-checked"), "false");
  await app.type("find", "deb");
  await app.key("Enter", { what: ".Search" });
  await assert.rejects(() => app.click("off"), /switched off/);
  app.fire("off", "click");
  await app.click("in");
  assert.deepEqual(app.page.said, ["slide 1", "slide 2", "1y", "check true", "b true", "typed deb", "sent deb", "inner"]);
});

test("keys, shortcuts and focus", async () => {
  const app = await mountSource(index(`
    Text('box').id('box').focusable(true).defaultFocus(true).onKeyEvent((event: KeyEvent) => { this.said.push('key ' + event.type + ' ' + event.keyCode); return event.keyCode === 2049; })
      .onFocus(() => { this.said.push('in'); }).onBlur(() => { this.said.push('out'); })
    Button('new').keyboardShortcut('n', [ModifierKey.CTRL], () => { this.said.push('ctrl n'); })
    Row() { Text('row') }.id('row').onClick(() => { this.said.push('pressed'); })
    Button('go').onClick(() => { this.getUIContext().getFocusController().requestFocus('row'); })`, `said: string[] = [];`));
  assert.equal(app.document.activeElement.id, "box");
  await app.key("a");
  await app.key("n", { ctrl: true, what: "#row" });
  await app.key("Enter", { what: "#row" });
  await app.click("go");
  assert.equal(app.document.activeElement.id, "row");
  assert.deepEqual(app.page.said, ["in", "key 0 2017", "key 1 2017", "ctrl n", "pressed", "out"]);
});

test("gestures: tap, double tap, long press, pan, pinch; fingers of onTouch; mouse and wheel", async () => {
  const app = await mountSource(index(`
    Column() {}.id('pad').width(200).height(200)
      .gesture(GestureGroup(GestureMode.Exclusive,
        TapGesture({ count: 2 }).onAction(() => { this.said.push('double'); }),
        TapGesture({ count: 1 }).onAction((event: GestureEvent) => { this.said.push('tap ' + event.fingerList[0].localX); }),
        LongPressGesture({ duration: 300 }).onAction(() => { this.said.push('long'); }),
        PanGesture({ distance: 8 }).onActionStart(() => { this.said.push('start'); }).onActionUpdate((event: GestureEvent) => { this.said.push('pan ' + event.offsetX); }).onActionEnd(() => { this.said.push('end'); }),
        PinchGesture().onActionUpdate((event: GestureEvent) => { this.said.push('pinch ' + event.scale); })))
    Column() {}.id('touch').onTouch((event: TouchEvent) => { this.said.push(event.type + ':' + event.changedTouches[0].id + '/' + event.touches.length); })
    Column() {}.id('mouse').onMouse((event: MouseEvent) => { this.said.push('m' + event.action + ' ' + (event.button === MouseButton.Right) + ' ' + event.rawDeltaX); })
      .onAxisEvent((event: AxisEvent) => { this.said.push('axis ' + event.getVerticalAxisValue()); })`, `said: string[] = [];`));
  const said = () => app.page.said.splice(0);
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  app.fire("#pad", "pointerdown", { clientX: 5 });
  app.fire("#pad", "pointerup", { clientX: 5 });
  await wait(400);
  assert.deepEqual(said(), ["tap 5"]);
  for (let i = 0; i < 2; i++) for (const type of ["pointerdown", "pointerup"]) app.fire("#pad", type);
  await wait(400);
  assert.deepEqual(said(), ["double"]);
  await app.longPress("#pad", 400);
  assert.deepEqual(said(), ["long"]);
  await app.drag("#pad", [[0, 0], [4, 0], [30, 0]]);
  assert.deepEqual(said(), ["start", "pan 30", "end"]);
  app.fire("#pad", "pointerdown", { pointerId: 1, clientX: 100 });
  app.fire("#pad", "pointerdown", { pointerId: 2, clientX: 120 });
  app.fire("#pad", "pointermove", { pointerId: 2, clientX: 140 });
  app.fire("#pad", "pointerup", { pointerId: 1 });
  app.fire("#pad", "pointerup", { pointerId: 2 });
  assert.deepEqual(said().filter((one) => one.startsWith("pinch")), ["pinch 2"]);
  app.fire("#touch", "pointerdown", { pointerId: 7 });
  app.fire("#touch", "pointerdown", { pointerId: 9 });
  app.fire("#touch", "pointermove", { pointerId: 9 });
  app.fire("#touch", "pointerup", { pointerId: 7 });
  app.fire("#touch", "pointerup", { pointerId: 9 });
  assert.deepEqual(said(), ["0:0/1", "0:1/2", "2:1/2", "1:0/2", "1:1/1"]);
  app.fire("#mouse", "pointerdown", { pointerType: "mouse", button: 2 });
  app.fire("#mouse", "pointermove", { pointerType: "mouse", movementX: 3 });
  await app.wheel("#mouse", 0, 5);
  assert.deepEqual(said(), ["m0 true 0", "m2 false 3", "axis 5"]);
});

test("an XComponent's surface comes, changes and goes, and the harness is told", async () => {
  const surfaces = [];
  const app = await mountSource(index(`if (this.on) { XComponent({ type: XComponentType.SURFACE, controller: this.controller }).width(100).height(50) }`, `
  @Local on: boolean = true; controller: Screen = new Screen();`, `
  class Screen extends XComponentController {
    said: string[] = [];
    onSurfaceCreated(id: string): void { this.said.push('created ' + (id === this.getXComponentSurfaceId()) + ' ' + /^\\d+$/.test(id)); }
    onSurfaceChanged(id: string, rect: SurfaceRect): void { this.said.push('changed ' + rect.surfaceWidth + 'x' + rect.surfaceHeight); }
    onSurfaceDestroyed(id: string): void { this.said.push('destroyed'); }
  }`), { onSurface: (kind, surface) => surfaces.push(`${kind} ${surface.width}`) });
  app.page.on = false;
  await app.settle();
  assert.deepEqual(app.page.controller.said, ["created true true", "changed 200x100", "destroyed"]);
  assert.deepEqual(surfaces, ["created 200", "changed 200", "destroyed 200"]);
});

test("access: roles and texts", async () => {
  const app = await mountSource(index(`
    Button('ok').accessibilityText('Accept'); Toggle({ type: ToggleType.Switch, isOn: true }).accessibilityText('Sound'); Slider({ value: 3 }).accessibilityText('Memory')
    Row() { Text('a'); Text('b') }.id('group').accessibilityGroup(true).accessibilityText('a and b'); Text('hidden').id('no').accessibilityLevel('no')`));
  const roles = app.all("[role],button").map((el) => [el.getAttribute("role") ?? "button", el.getAttribute("aria-label")]);
  assert.deepEqual(roles, [["button", "Accept"], ["switch", "Sound"], ["slider", "Memory"], ["group", "a and b"]]);
  assert.equal(app.find("#no").getAttribute("aria-hidden"), "true");
});

test("500 rows stand within a second or so, and one change draws one", async () => {
  const app = await mountSource(index(`
    List() { Repeat<Row1>(this.rows).each((one: RepeatItem<Row1>) => { ListItem() { Row() { Text(one.item.name).fontSize(18).layoutWeight(1); Button('start').onClick(() => {}) }.padding(12).width('100%') } }).key((one: Row1) => one.name) }`, `
  @Local rows: Row1[] = [];`, `@ObservedV2 class Row1 { @Trace name: string = ''; constructor(name: string) { this.name = name; } }
  export function make(name: string): Row1 { return new Row1(name); }`));
  const begun = performance.now();
  app.page.rows = Array.from({ length: 500 }, (_, at) => app.module.make(`vm ${at}`));
  await app.settle();
  const all = performance.now() - begun;
  assert.equal(app.all(".ListItem").length, 500);
  const kept = app.all(".ListItem")[250];
  const then = performance.now();
  app.page.rows[250].name = "other";
  app.boot.flush();
  const one = performance.now() - then;
  assert.equal(app.all(".ListItem")[250], kept);
  assert.ok(app.sees("other"));
  // In proportion, since computers differ: drawing one thing must not draw all again.
  assert.ok(one < all / 20, `${one} ms of ${all} ms`);
});

const PAGE = index(`
  Navigation(this.stack) {
    Column({ space: 8 }) {
      Text($r('app.string.hello', 'Ada')); Row() { Text('left'); Blank(); Text('right') }.width('100%')
      List({ space: 4 }) { ForEach(['a', 'b', 'c'], (one: string) => { ListItem() { Text('row ' + one) } }) }.height(120)
      TextInput({ placeholder: 'name' }); Button('go').onClick(() => { this.stack.pushPathByName('next', 7); })
      if (this.stack.size() > 100) { Text('never') }
    }.padding(16)
  }.title('Home').navDestination(this.pages)`, `
  stack: NavPathStack = new NavPathStack();
  @Builder pages(name: string, param: number) { NavDestination() { Text(name + param); Text('second') }.title('Next') }`);

test("Chromium shows the same texts, in Rows and Columns as ArkUI lays them out", async () => {
  const resources = { qualifiers: { base: { string: { hello: "Hello %s" } } }, media: {} };
  const app = await mountSource(PAGE, { resources });
  const server = await serve(site({ files: { "pages/Index.ets": PAGE }, resources }));
  const browser = await launch();
  after(async () => {
    await browser.close();
    await server.close();
  });
  const { page, problems } = await open(browser, server.url);
  const texts = () => page.evaluate(`(() => { const visibleIn = ${/const visibleIn = (.*);/.exec(VISIBLE)[1]}; ${seenTexts}; return seenTexts(document.body); })()`);
  assert.deepEqual(await texts(), app.texts());
  const box = (text) => page.getByText(text, { exact: true }).boundingBox();
  const [left, right, hello] = [await box("left"), await box("right"), await box("Hello Ada")];
  assert.equal(left.x, 16, "Blank pushes apart");
  assert.equal(Math.round(right.x + right.width), 344);
  assert.ok(Math.abs(hello.x + hello.width / 2 - 180) < 1, "a Column centres");
  assert.equal((await page.locator(".Button").boundingBox()).height, 40);
  const [first, second] = [await box("row a"), await box("row b")];
  assert.equal(Math.round(second.y - first.y - first.height), 4);
  await page.getByText("go", { exact: true }).click();
  await app.click("go");
  await page.getByText("next7").waitFor();
  assert.deepEqual(await texts(), app.texts());
  assert.deepEqual(problems, []);
});
const VISIBLE = "const visibleIn = (el) => !el.closest || el.nodeType !== 1 || getComputedStyle(el).display !== 'none';";

test("what lies under a dialog cannot be pressed, nor reached by a shortcut", async () => {
  const app = await mountSource(index(`
    Button('ask').keyboardShortcut('k', [ModifierKey.CTRL], () => { this.n++; }).onClick(() => { this.getUIContext().showAlertDialog({ message: 'Sure?', confirm: { value: 'Yes', action: () => {} } }); })
    Button('below').onClick(() => { this.n++; })`, `n: number = 0;`));
  await app.click("ask");
  await assert.rejects(() => app.click("below"), /lies under: dialog Sure\? \| Yes/);
  await app.key("k", { ctrl: true, what: "Yes" });
  assert.equal(app.page.n, 0);
  await app.click("Yes");
  await app.click("below");
  await app.key("k", { ctrl: true });
  assert.equal(app.page.n, 2);
});

test("colours, language and type follow the system; sight follows tabs, pages and the background", async () => {
  const resources = { qualifiers: { base: { string: { a: "English" }, color: { c: "#000000" } }, zh_CN: { string: { a: "中文" } }, dark: { color: { c: "#FFFFFF" } } }, media: {} };
  const app = await mountSource(index(`
    Tabs() { TabContent() { Text($r('app.string.a')).fontColor($r('app.color.c')).fontSize(10).onVisibleAreaChange([0, 1], (seen: boolean) => { this.said.push(seen); }) }.tabBar('one'); TabContent() { Text('x') }.tabBar('two') }`,
  `said: boolean[] = [];`), { resources });
  assert.match(app.find("English").getAttribute("style"), /rgb\(0,0,0\).*10px/);
  app.system.configure({ dark: true, language: "zh_CN", fontScale: 2 });
  await app.settle();
  assert.match(app.find("中文").getAttribute("style"), /rgb\(255,255,255\).*20px/);
  await app.click("two");
  await app.click("one");
  await app.background();
  await app.foreground();
  assert.deepEqual(app.page.said, [true, false, true, false, true]);
});

test("what is typed while an input method is attached comes as its events", async () => {
  const app = await mountSource(index(`
    Row() {}.id('pad').focusable(true).defaultFocus(true).onKeyPreIme((event: KeyEvent) => { return event.keyCode === KeyCode.KEYCODE_TAB; })`, `
  said: string[] = [];
  aboutToAppear(): void {
    const own = inputMethod.getController();
    own.on('insertText', (text: string) => { this.said.push(text); }); own.on('deleteLeft', (count: number) => { this.said.push('-' + count); });
    own.attach(true, { inputAttribute: { textInputType: inputMethod.TextInputType.TEXT, enterKeyType: inputMethod.EnterKeyType.GO } });
  }`, `import { inputMethod } from '@kit.IMEKit'; import { KeyCode } from '@kit.InputKit';`));
  await app.key("h");
  await app.key("Tab");
  await app.key("Backspace");
  app.system.inputMethod("insertText", "好");
  assert.deepEqual(app.page.said, ["h", "-1", "好"]);
});
