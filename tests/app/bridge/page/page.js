import "/bridge/boot.js";

const { native, surface } = globalThis.sampanHost;
const canvas = document.querySelector("#screen");
const status = document.querySelector("#status");
const said = (error) => { status.textContent = `${error.code}: ${error.message}`; };

/** OpenHarmony's numbers of letters. */
const keyCode = (event) => /^Key[A-Z]$/.test(event.code) ? 2017 + event.code.charCodeAt(3) - 65 : undefined;

let screen;
async function show(id) {
  await native.life.start(id).run().catch((error) => { if (error.code !== "runs_already") throw error; });
  screen = await native.screen.attach(id, 640, 400);
  await native.screen.draw(screen, surface(canvas).id, 640, 400, true);
  canvas.focus();
}

for (const type of ["keydown", "keyup"]) {
  canvas.addEventListener(type, (event) => {
    const code = keyCode(event);
    if (screen && code && !event.repeat) native.input.key(screen, code, type === "keydown");
  });
}

native.on("screen", ({ state, width, height }) => { status.textContent = `${state} ${width ?? ""}×${height ?? ""}`; });
await native.host.init("", "").catch(said);
native.on("machines", (machines) => {
  document.querySelector("#machines").replaceChildren(...machines.map(({ id, name, state }) => {
    const button = Object.assign(document.createElement("button"), { textContent: `${name} (${state})` });
    button.dataset.machine = id;
    button.addEventListener("click", () => show(id).catch(said));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
});
