// What is shown in each picture, and how a person gets there.
const tap = (page, selector) => page.locator(`${selector}:visible`).first().click({ timeout: 8000 });

/** The words of a machine's row or card open its page; its picture would open the screen. */
const openMachine = async (page, id) => {
  const row = page.locator(`#machine_${id}:visible`).first();
  await row.waitFor({ timeout: 8000 });
  const { width, height } = await row.boundingBox();
  await row.click({ position: { x: width * 0.4, y: height - 24 } });
};

export const scenes = [
  { name: "machines", act: (page, { running }) => page.locator(`#machine_${running}`).first().waitFor({ timeout: 8000 }) },
  { name: "machine", act: (page, { running }) => openMachine(page, running) },
  {
    name: "snapshots",
    act: async (page, { running }) => {
      await openMachine(page, running);
      await tap(page, "#strip_now");
      await page.locator("#snap_present").waitFor({ timeout: 8000 });
    },
  },
  {
    name: "screen",
    act: async (page, { running }) => {
      await tap(page, `#picture_${running}`);
      await page.waitForTimeout(1500);
    },
  },
  { name: "mine", act: (page) => tap(page, "#tab_mine") },
  { name: "wizard", act: (page) => tap(page, "#new_machine") },
];
