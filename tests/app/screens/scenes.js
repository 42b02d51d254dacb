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
  { name: "mine", act: (page) => tap(page, "#tab_mine") },
  { name: "downloads", act: mine("#mine_downloads") },
  { name: "capabilities", act: mine("#mine_capabilities") },
  { name: "settings", act: mine("#mine_settings") },
];
