// The stand-ins of the kits, and the life of an ability.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { mountSource } from "../lib/harness/node.js";

/** Runs statements of ArkTS that fill `out`, and gives it. */
async function ran(imports, body, options) {
  const app = await mountSource(`${imports}
@Entry
@ComponentV2
struct Index {
  out: Object[] = [];
  async run(): Promise<void> { const out = this.out; const context = this.getUIContext().getHostContext() as common.UIAbilityContext; ${body} }
  build() { Column() { Button('run').onClick(() => { this.run().catch((error: Error) => { this.out.push('failed ' + error.message); }); }) } }
}`, options);
  await app.click("run");
  await app.settle();
  return [app.page.out, app];
}
const ABILITY = "import { common, abilityAccessCtrl, bundleManager } from '@kit.AbilityKit';";

test("preferences, the clipboard, permissions", async () => {
  const preferences = { app: { seen: true } };
  const [out, app] = await ran(`${ABILITY} import { preferences } from '@kit.ArkData'; import { pasteboard } from '@kit.BasicServicesKit';`, `
    const store = preferences.getPreferencesSync(context, { name: 'app' });
    out.push(store.getSync('seen', false), store.getSync('n', 7)); store.putSync('n', 8); await store.flush();
    const board = pasteboard.getSystemPasteboard(); out.push(board.hasDataSync());
    await board.setData(pasteboard.createData(pasteboard.MIMETYPE_TEXT_PLAIN, 'text')); out.push((await board.getData()).getPrimaryText());
    const manager = abilityAccessCtrl.createAtManager();
    const asked = await manager.requestPermissionsFromUser(context, ['ohos.permission.A', 'ohos.permission.B']); out.push(asked.authResults.join());
    out.push((await bundleManager.getBundleInfoForSelf(bundleManager.BundleFlag.GET_BUNDLE_INFO_DEFAULT)).versionName)`,
  { preferences, device: { permissions: { "ohos.permission.B": false } } });
  assert.deepEqual(out, [true, 7, false, "text", "0,-1", "0.1.0"]);
  assert.equal(preferences.app.n, 8);
  assert.deepEqual(app.calls.map((one) => one.name), ["permissions.request"]);
});

test("pickers and files", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sampan-kits-"));
  writeFileSync(join(folder, "disk.iso"), "content");
  const [out] = await ran(`${ABILITY} import { picker, fileIo, fileUri } from '@kit.CoreFileKit';`, `
    const picked = await new picker.DocumentViewPicker(context).select({ maxSelectNumber: 1 });
    const file = fileIo.openSync(picked[0], fileIo.OpenMode.READ_ONLY); out.push(file.name, fileIo.statSync(file.fd).size, file.fd > 2); fileIo.closeSync(file);
    out.push(new fileUri.FileUri(picked[0]).name);
    try { fileIo.openSync('${folder}/none'); } catch (error) { out.push((error as BusinessError).code); }
    out.push((await new picker.DocumentViewPicker(context).select()).length)`, { picks: [[`file://docs${folder}/disk.iso`]] });
  rmSync(folder, { recursive: true });
  assert.deepEqual(out, ["disk.iso", 7, true, "disk.iso", 13900002, 0]);
});

test("a picture is made of a PNG's bytes and shown", async () => {
  const png = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAYAAAC56t6BAAAAEElEQVR4nGP4z8DwHx9mGBkKAOFDL9FnqFwcAAAAAElFTkSuQmCC";
  const app = await mountSource(`import { image } from '@kit.ImageKit'; import native from 'libsampan.so';
    @Entry @ComponentV2 struct Index { @Local map: image.PixelMap | undefined = undefined; @Local size: string = '';
      aboutToAppear(): void { const bytes: Uint8Array = native.png(); image.createImageSource(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)).createPixelMap()
        .then((map: image.PixelMap) => { this.map = map; const info = map.getImageInfoSync(); this.size = info.size.width + 'x' + info.size.height; }); }
      build() { Column() { Image(this.map).id('picture').width(20); Text(this.size) } } }`, { native: { png: () => Uint8Array.from(Buffer.from(png, "base64")) } });
  assert.ok(app.sees("2x3"));
  assert.match(app.find("#picture").getAttribute("style"), /data:image\/png;base64,iVBOR/);
});

test("texts, numbers and dates of the language", async () => {
  const body = `
    out.push(new intl.NumberFormat('', { maximumFractionDigits: 1 }).format(1234.56), i18n.System.getSystemLanguage(), new intl.RelativeTimeFormat('').format(-2, 'hour'))`;
  const imports = `${ABILITY} import { intl, i18n } from '@kit.LocalizationKit';`;
  assert.deepEqual((await ran(imports, body))[0], ["1,234.6", "en-US", "2 hours ago"]);
  assert.deepEqual((await ran(imports, body, { language: "zh_CN" }))[0], ["1,234.6", "zh-CN", "2小时前"]);
});

test("notices, background tasks and the window are noted; tests answer for the system", async () => {
  const [out, app] = await ran(`${ABILITY} import { notificationManager } from '@kit.NotificationKit'; import { backgroundTaskManager } from '@kit.BackgroundTasksKit'; import { window } from '@kit.ArkUI';
    import { deviceInfo } from '@kit.BasicServicesKit'; import { connection } from '@kit.NetworkKit'; import { hilog } from '@kit.PerformanceAnalysisKit';`, `
    await notificationManager.publish({ id: 1, content: { notificationContentType: notificationManager.ContentType.NOTIFICATION_CONTENT_BASIC_TEXT, normal: { title: 't', text: 'x' } } });
    out.push(await backgroundTaskManager.getAllContinuousTasks(context) as Object);
    out.push(backgroundTaskManager.requestSuspendDelay('save', () => {}).actualDelayTime > 0);
    const own = await window.getLastWindow(context); await own.setWindowKeepScreenOn(true); out.push(own.getWindowProperties().windowRect.width);
    out.push(deviceInfo.deviceType, deviceInfo.sdkApiVersion, await connection.isDefaultNetMetered()); hilog.info(1, 'tag', 'n %{public}d of %{public}s', 3, 'x')`,
  { device: { type: "2in1", api: 20, metered: true }, width: 800, answers: { "backgroundTaskManager.getAllContinuousTasks": () => "none" } });
  assert.deepEqual(out, ["none", true, 1600, "2in1", 20, true]);
  assert.deepEqual(app.calls.map((one) => one.name).filter((one) => !one.startsWith("context")), ["notificationManager.publish", "backgroundTaskManager.getAllContinuousTasks", "backgroundTaskManager.requestSuspendDelay", "window.setWindowKeepScreenOn"]);
  assert.equal(app.env.logs.at(-1).text, "n 3 of x");
});

test("an ability is created, shown, hidden, asked anew and ended; its window tells of sizes and keyboards", async () => {
  const app = await mountSource(`import { window } from '@kit.ArkUI';
    @Entry @ComponentV2 struct Index { @Local width1: number = 0; keyboard: number = 0;
      onPageShow(): void { said('page shown ' + this.getUIContext().getSharedLocalStorage()?.get<string>('id')); } onPageHide(): void { said('page hidden'); } onBackPress(): boolean { said('back'); return true; }
      aboutToAppear(): void { window.getLastWindow(this.getUIContext().getHostContext()!).then((own: window.Window) => {
        own.on('windowSizeChange', (size: window.Size) => { this.width1 = size.width; }); own.on('keyboardHeightChange', (height: number) => { this.keyboard = height; }); }); }
      build() { Column() { Text('width ' + this.width1) }.onSizeChange((old: SizeOptions, now: SizeOptions) => { said('size ' + now.width); }) } }
    import { said } from '../model/said';`, { files: {
    "model/said.ets": "export const all: string[] = []; export function said(text: string): void { all.push(text); }",
    "entryability/EntryAbility.ets": `import { UIAbility, Want, AbilityConstant, ConfigurationConstant } from '@kit.AbilityKit'; import { window } from '@kit.ArkUI'; import { said, all } from '../model/said';
      export default class EntryAbility extends UIAbility {
        all: string[] = all;
        onCreate(want: Want): void { said('create ' + want.uri + ' ' + this.context.filesDir.endsWith('/files')); this.context.getApplicationContext().setColorMode(ConfigurationConstant.ColorMode.COLOR_MODE_NOT_SET); }
        onNewWant(want: Want): void { said('new ' + want.uri); }
        onWindowStageCreate(stage: window.WindowStage): void { stage.on('windowStageEvent', (event: window.WindowStageEventType) => { said('stage ' + event); }); const storage = new LocalStorage(); storage.setOrCreate('id', 'vm1'); stage.loadContent('pages/Index', storage, (error) => { said('loaded ' + error.code); }); }
        onForeground(): void { said('foreground'); } onBackground(): void { said('background'); } onWindowStageDestroy(): void { said('stage gone'); } onDestroy(): void { said('destroy'); }
        onPrepareToTerminate(): boolean { said('prepare'); return true; }
      }`,
  }, ability: "entryability/EntryAbility", want: { uri: "sampan://machine/1" } });
  const said = () => app.ability.all.splice(0);
  assert.deepEqual(said(), ["create sampan://machine/1 true", "foreground", "stage 1", "stage 2", "page shown vm1", "loaded 0", "size 360"]);
  await app.resize(800, 600);
  app.system.keyboard(300);
  assert.ok(app.sees("width 1600"));
  assert.equal(app.page.keyboard, 600);
  await app.background();
  await app.foreground();
  app.system.newWant({ uri: "sampan://machine/2" });
  assert.equal(await app.back(), true);
  assert.equal(await app.system.prepareToTerminate(), true);
  await app.close();
  assert.deepEqual(said(), ["size 800", "page hidden", "stage 3", "stage 4", "background", "foreground", "stage 1", "stage 2", "page shown vm1", "new sampan://machine/2", "back", "prepare",
    "background", "stage gone", "destroy"]);
});
