// What is shown in each picture, and how a person gets there.
const tap = (page, selector) => page.locator(`${selector}:visible`).first().click({ timeout: 10_000 });
const there = (page, selector) => page.locator(`${selector}:visible`).first().waitFor({ timeout: 10_000 });

/** The words of a machine's row or card open its page; its picture would open the screen. */
async function openMachine(page, id) {
  const row = page.locator(`#machine_${id}:visible`).first();
  await row.waitFor({ timeout: 10_000 });
  const { width, height } = await row.boundingBox();
  await row.click({ position: { x: width * 0.45, y: height - 24 } });
  await there(page, "#machine_primary");
}

/** A page that belongs to the running machine. */
const of = (control) => async (page, { running }) => {
  await openMachine(page, running);
  await tap(page, control);
  await page.waitForTimeout(500);
};
/** A page of this device. */
const mine = (control) => async (page) => {
  await tap(page, "#tab_mine");
  await tap(page, control);
  await page.waitForTimeout(500);
};

/** The displays in the sheet of a machine's screen. */
async function displays(page, { running }) {
  // On a PC as in a window of its own, which a machine's screen also is where no window opens.
  await page.evaluate(() => { globalThis.open = () => null; });
  await tap(page, `#picture_${running}`);
  await page.waitForTimeout(2000);
  await tap(page, "#dock_more");
  await there(page, "#more_displays");
  await page.locator("#more_displays").scrollIntoViewIfNeeded();
  await page.waitForTimeout(500);
}

export const scenes = [
  { name: "empty", empty: true, act: (page) => there(page, "#empty_quick") },
  { name: "machines", act: (page, { running }) => there(page, `#machine_${running}`) },
  { name: "machine", act: (page, { running }) => openMachine(page, running) },
  { name: "snapshots", act: async (page, { running }) => {
    await openMachine(page, running);
    await tap(page, "#strip_now");
    await there(page, "#snap_present");
  } },
  { name: "screen", act: async (page, { running }) => {
    await tap(page, `#picture_${running}`);
    await page.waitForTimeout(2000);
  } },
  { name: "hardware", act: of("#detail_hardware") },
  { name: "drives", act: of("#detail_drives") },
  { name: "network", act: of("#detail_network") },
  { name: "wizard", act: (page) => tap(page, "#new_machine") },
  { name: "wizard-image", act: async (page) => {
    await tap(page, "#new_machine");
    await tap(page, "#preset_linux");
    await page.waitForTimeout(500);
  } },
  { name: "suspended", act: (page, { suspended }) => openMachine(page, suspended) },
  { name: "screen-more", widths: ["phone", "tablet"], act: async (page, { running }) => {
    await tap(page, `#picture_${running}`);
    await tap(page, "#dock_more");
    await there(page, "#snd_volume");
    await page.locator("#more_sound").scrollIntoViewIfNeeded();
    await page.waitForTimeout(500);
  } },
  { name: "screen-displays", desk: true, act: displays },
  { name: "shares", act: of("#detail_shares") },
  { name: "features", act: of("#detail_features") },
  { name: "logs", act: of("#more_logs") },
  { name: "programs", act: of("#more_programs") },
  { name: "process", act: of("#more_process") },
  { name: "stream", act: of("#detail_stream") },
  { name: "remote", act: async (page) => {
    await tap(page, "#machines_more");
    await tap(page, "#add_remote");
    await there(page, "#remote_address");
  } },
  { name: "serial", act: of("#more_serial") },
  { name: "apps", act: async (page) => {
    await tap(page, "#tab_apps");
    await page.waitForTimeout(500);
  } },
  { name: "mine", act: (page) => tap(page, "#tab_mine") },
  { name: "downloads", act: mine("#mine_downloads") },
  { name: "storage", act: mine("#mine_storage") },
  { name: "devices", act: mine("#mine_devices") },
  { name: "capabilities", act: mine("#mine_capabilities") },
  { name: "settings", act: mine("#mine_settings") },
  { name: "about", act: mine("#mine_about") },
  // What strains a layout: thirty machines, long names, names from right to left, the largest type.
  { name: "thirty", crowd: true, act: (page, { long }) => there(page, `#machine_${long}`) },
  { name: "long-name", crowd: true, act: (page, { long }) => openMachine(page, long) },
  { name: "right-to-left", crowd: true, act: (page, { arabic }) => openMachine(page, arabic) },
  { name: "largest-thirty", crowd: true, query: { fontScale: 2 }, act: (page, { long }) => there(page, `#machine_${long}`) },
  { name: "largest-machine", crowd: true, query: { fontScale: 2 }, act: (page, { long }) => openMachine(page, long) },
  { name: "largest-displays", desk: true, query: { fontScale: 2 }, act: displays },
  { name: "largest-settings", crowd: true, query: { fontScale: 2 }, act: mine("#mine_settings") },
  { name: "largest-wizard", crowd: true, query: { fontScale: 2 }, act: (page) => tap(page, "#new_machine") },
];
