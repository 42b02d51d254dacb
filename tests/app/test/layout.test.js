// Where things stand in Chromium: ArkUI's rules, as far as a style sheet can follow them.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { site } from "../lib/harness/web.js";
import { serve } from "../lib/harness/serve.js";
import { launch, open } from "../lib/harness/chromium.js";

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

/** Opens a page whose build() is given; `at(id)` is where something stands, rounded. */
async function shown(build, members = "", { width = 360, height = 780, ...more } = {}) {
  const server = await serve(site({ files: { "pages/Index.ets": `@Entry @ComponentV2 struct Index {\n${members}\nbuild() { ${build} } }` } }));
  const opened = await open(browser, server.url, { width, height, ...more });
  after(async () => {
    await opened.close();
    await server.close();
  });
  const at = async (id) => {
    const box = await opened.page.locator(id.startsWith(".") ? id : `#${id}`).first().boundingBox();
    return box && [box.x, box.y, box.width, box.height].map(Math.round);
  };
  return { ...opened, at };
}

test("rows and columns: centred across, weights share what is left, spaces, percentages, blanks", async () => {
  const { at } = await shown(`
    Column({ space: 10 }) {
      Row({ space: 4 }) { Column().id('fixed').width(50).height(20); Column().id('one').layoutWeight(1).height(40); Column().id('two').layoutWeight(2).height(10) }.id('row').width('100%').padding(6)
      Column().id('half').width('50%').height(30)
      Row() { Column().id('start').size({ width: 10, height: 10 }); Blank(); Column().id('end').size({ width: 10, height: 10 }) }.width(200).id('apart')
      Column().id('rest').layoutWeight(1).width(20)
    }.width('100%').height('100%')`);
  assert.deepEqual(await at("row"), [0, 0, 360, 52]);
  assert.deepEqual(await at("fixed"), [6, 16, 50, 20]);
  assert.deepEqual([(await at("one"))[2], (await at("two"))[2]], [97, 193]);
  assert.deepEqual(await at("half"), [90, 62, 180, 30]);
  assert.deepEqual([(await at("start"))[0], (await at("end"))[0]], [80, 270]);
  assert.deepEqual(await at("rest"), [170, 122, 20, 658]);
});

test("a share of an unsized parent counts against what the parent may have", async () => {
  const { at } = await shown(`Column() { Column() { Row() { Column().id('in').width('100%').height(5) }.id('row').padding(10) }.id('outer') }.width(300)`);
  assert.deepEqual(await at("outer"), [30, 0, 300, 25]);
  assert.deepEqual(await at("in"), [40, 10, 280, 5]);
});

test("stacks place their children, by their own or the stack's alignment; position and offset", async () => {
  const { at } = await shown(`
    Column() {
      Stack({ alignContent: Alignment.BottomEnd }) { Column().id('a').size({ width: 10, height: 10 }); Column().id('b').position({ x: 7, y: 9 }).size({ width: 4, height: 4 }); Column().id('c').offset({ x: -5, y: -6 }).size({ width: 10, height: 10 }) }.id('stack').width(100).height(80)
      Stack() { Column().id('full').width('100%').height('100%'); Column().id('mid').size({ width: 20, height: 10 }) }.width(100).height(50)
      Stack() { Column().id('big').size({ width: 60, height: 40 }); Column().size({ width: 10, height: 10 }) }.id('wrap')
      Stack() { Column().id('ratio').width('100%').height('100%') }.width(160).aspectRatio(2)
    }.alignItems(HorizontalAlign.Start)`);
  const [x, y] = await at("stack");
  assert.deepEqual(await at("a"), [x + 90, y + 70, 10, 10]);
  assert.deepEqual(await at("b"), [x + 7, y + 9, 4, 4]);
  assert.deepEqual(await at("c"), [x + 85, y + 64, 10, 10]);
  assert.deepEqual((await at("full")).slice(2), [100, 50]);
  assert.deepEqual((await at("mid")).slice(0, 2), [x + 40, y + 80 + 20]);
  assert.deepEqual((await at("wrap")).slice(2), [60, 40]);
  assert.deepEqual((await at("ratio")).slice(2), [160, 80]);
});

test("sizes: bounds, hidden keeps its room, none does not; long text is bounded and wraps", async () => {
  const { at } = await shown(`
    Column() {
      Column().id('max').width('100%').constraintSize({ maxWidth: 200 }).height(10)
      Column().id('hidden').visibility(Visibility.Hidden).size({ width: 10, height: 10 }); Column().visibility(Visibility.None).size({ width: 10, height: 50 })
      Text('a long text that has to be broken into several lines since the window is small').id('text')
      Row() { Text('a long text beside a button that gets what is left of the row').id('beside').layoutWeight(1); Button('go').id('go') }.width('100%')
      Text('one line only, and no more than that, whatever it says').id('line').maxLines(1).textOverflow({ overflow: TextOverflow.Ellipsis })
    }.width('100%')`);
  assert.deepEqual(await at("max"), [80, 0, 200, 10]);
  const text = await at("text");
  assert.equal(text[1], 20);
  assert.ok(text[2] <= 360 && text[3] > 40, `${text}`);
  const [go, beside, line] = [await at("go"), await at("beside"), await at("line")];
  assert.equal(go[0] + go[2], 360);
  assert.equal(go[3], 40);
  assert.equal(beside[2], 360 - go[2]);
  assert.ok(line[3] < 26 && line[2] <= 360, `${line}`);
});

test("lists and grids: full width, lanes, templates; what is longer scrolls", async () => {
  const { at, page } = await shown(`
    Column() {
      List({ space: 8 }) { ForEach([0, 1, 2, 3, 4, 5], (one: number) => { ListItem() { Column().height(50).width('100%') }.id('item' + one) }) }.id('list').height(150)
      Grid() { ForEach([0, 1, 2], (one: number) => { GridItem() { Column().height(20).width('100%') }.id('cell' + one) }) }.columnsTemplate('1fr 2fr').columnsGap(6).rowsGap(4).id('grid')
      List() { ForEach([0, 1], (one: number) => { ListItem() { Column().height(10).width('100%') }.id('lane' + one) }) }.lanes(2)
    }.width('100%').height('100%')`);
  assert.deepEqual(await at("list"), [0, 0, 360, 150]);
  assert.deepEqual(await at("item1"), [0, 58, 360, 50]);
  assert.ok(await page.evaluate(() => document.querySelector("#list").scrollHeight > 300));
  assert.deepEqual([(await at("cell0"))[2], (await at("cell1"))[2], (await at("cell2"))[1] - (await at("cell0"))[1]], [118, 236, 24]);
  assert.deepEqual([(await at("lane0"))[2], (await at("lane1"))[0]], [180, 180]);
});

test("a Scroll begins at its start and takes what its parent leaves", async () => {
  const { at } = await shown(`
    Column() { Text('head').height(30)
      Scroll() { Column() { Column().id('first').height(900).width('100%') }.width('100%') }.id('scroll').layoutWeight(1).align(Alignment.Top)
      Row().id('foot').height(40).width('100%') }.height('100%').width('100%')`);
  assert.deepEqual(await at("scroll"), [0, 30, 360, 710]);
  assert.equal((await at("first"))[1], 30);
  assert.deepEqual(await at("foot"), [0, 740, 360, 40]);
});

test("what is less than a Scroll stands where it is aligned, along and across", async () => {
  const { at } = await shown(`
    Column() {
      Scroll() { Row() { Column().id('start').width(40).height(20) }.height(20) }.scrollable(ScrollDirection.Horizontal).align(Alignment.Start).width('100%').height(60)
      Scroll() { Row() { Column().id('end').width(40).height(20) }.height(20) }.align(Alignment.TopEnd).scrollable(ScrollDirection.Horizontal).width('100%').height(60)
      Scroll() { Column() { Column().id('middle').width(40).height(20) } }.width('100%').height(60)
      Scroll() { Column() { Scroll() { Column().id('inner').width(40).height(20) }.width(100).height(60) } }.align(Alignment.BottomStart).width('100%').height(100)
    }.width('100%').height('100%')`);
  assert.deepEqual(await at("start"), [0, 20, 40, 20]);
  assert.deepEqual(await at("end"), [320, 60, 40, 20]);
  assert.deepEqual(await at("middle"), [160, 140, 40, 20]);
  assert.deepEqual(await at("inner"), [30, 240, 40, 20], "its own Scroll is not aligned");
});

test("tabs below and at the side; Navigation in one and two columns", async () => {
  const members = `stack: NavPathStack = new NavPathStack(); @Builder pages(name: string) { NavDestination() { Column().id('page').width('100%').height('100%') }.hideTitleBar(true) }
    aboutToAppear(): void { this.stack.pushPathByName('a', undefined); }`;
  const build = (side) => `
    Tabs({ barPosition: ${side ? "BarPosition.Start" : "BarPosition.End"} }) {
      TabContent() { Navigation(this.stack) { Column().id('list').width('100%').height('100%') }.hideTitleBar(true).navBarWidth(300).navDestination(this.pages) }.tabBar('one')
      TabContent() { Text('x') }.tabBar('two')
    }.vertical(${side}).barWidth(${side ? 72 : "'100%'"}).barHeight(${side ? "'100%'" : 52})`;
  const small = await shown(build(false), members);
  assert.deepEqual(await small.at(".tabs-bar"), [0, 728, 360, 52]);
  assert.deepEqual(await small.at("page"), [0, 0, 360, 728]);
  assert.equal(await small.at("list"), null);
  const wide = await shown(build(true), members, { width: 1000, height: 600 });
  assert.deepEqual(await wide.at(".tabs-bar"), [0, 0, 72, 600]);
  const [list, page] = [await wide.at("list"), await wide.at("page")];
  assert.ok(list[0] === 72 && Math.abs(list[2] - 300) <= 1, `${list}`);
  assert.ok(page[0] === 372 && page[2] === 628, `${page}`);
});

test("sheets at the bottom and in the middle; menus within the window; toasts above the foot", async () => {
  const members = `@Local on: boolean = false; @Builder inside() { Column().id('inside').height(100).width('100%') }`;
  const build = `Column() { Button('sheet').id('sheet').onClick(() => { this.on = true; }).bindSheet(this.on!!, this.inside(), { height: 300, showClose: false })
    Blank(); Button('menu').id('menu').bindMenu([{ value: 'a', action: () => {} }, { value: 'b', action: () => {} }]).alignSelf(ItemAlign.End) }.width('100%').height('100%')`;
  const small = await shown(build, members);
  await small.page.click("#menu");
  await small.page.waitForTimeout(100);
  const menu = await small.at(".menu > .panel");
  assert.ok(menu[0] + menu[2] <= 352 && menu[1] + menu[3] <= 745, `${menu}`);
  await small.page.keyboard.press("Escape");
  await small.page.click("#sheet");
  assert.deepEqual(await small.at(".sheet > .panel"), [0, 480, 360, 300]);
  const wide = await shown(build, members, { width: 1000, height: 700 });
  await wide.page.click("#sheet");
  assert.deepEqual(await wide.at(".sheet > .panel"), [260, 200, 480, 300]);
});

test("fingers, keys and the wheel of a real browser reach the page", async () => {
  const { page } = await shown(`
    Column() {
      Column().id('pad').width(300).height(300).backgroundColor('#ccc')
        .gesture(GestureGroup(GestureMode.Exclusive, TapGesture().onAction((event: GestureEvent) => { this.say('tap ' + Math.round(event.fingerList[0].localX)); }),
          PanGesture({ distance: 8 }).onActionUpdate((event: GestureEvent) => { this.last = 'pan ' + Math.round(event.offsetX); }).onActionEnd(() => { this.say(this.last); })))
        .onAxisEvent((event: AxisEvent) => { this.say('axis ' + event.getVerticalAxisValue()); })
      Button('first').id('first').onClick(() => { this.say('first'); })
      Row() { Text('row') }.id('row').onClick(() => { this.say('row'); }).onKeyEvent((event: KeyEvent) => { if (event.type === KeyType.Down) { this.say('key ' + event.keyCode); } })
      Text(this.said.join(',')).id('said')
    }`, `@Local said: string[] = []; last: string = ''; say(text: string): void { this.said.push(text); }`, { hasTouch: true });
  const box = await page.locator("#pad").boundingBox();
  await page.touchscreen.tap(box.x + 20, box.y + 20);
  await page.mouse.move(box.x + 50, box.y + 50);
  await page.mouse.down();
  await page.mouse.move(box.x + 90, box.y + 50, { steps: 4 });
  await page.mouse.up();
  await page.mouse.wheel(0, 30);
  await page.waitForTimeout(100);
  await page.focus("#first");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  assert.equal(await page.locator("#said").textContent(), "tap 20,pan 40,axis 30,first,key 2050,row");
});
