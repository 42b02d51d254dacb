// What a test does to a mounted app, and what it sees of it.

const visibleIn = (el) =>
  !el.hasAttribute?.("hidden") &&
  !/(^|;)display:none/.test(el.getAttribute?.("style") ?? "") &&
  !/(^|;)visibility:hidden/.test(el.getAttribute?.("style") ?? "");

/** The texts that are seen, in order: words, what is typed, placeholders of empty fields. Runs in a browser too. */
export function seenTexts(node, into = []) {
  if (node.nodeType === 3) {
    const text = node.data.trim();
    if (text) into.push(text);
  } else if (node.nodeType === 1 && visibleIn(node) && !["SCRIPT", "STYLE"].includes(node.tagName)) {
    if ((node.tagName === "INPUT" && node.getAttribute("type") !== "range") || node.tagName === "TEXTAREA") {
      const text = node.value || node.getAttribute("placeholder") || "";
      if (text) into.push(text);
    } else for (const child of node.childNodes) seenTexts(child, into);
  }
  return into;
}

export class Driver {
  constructor(boot, window, turn) {
    Object.assign(this, { boot, window, document: window.document, env: boot.env, turn });
  }

  /** Lets promises and short timers run and draws; throws what went wrong meanwhile. */
  async settle(rounds = 4) {
    for (let quiet = 0, all = 0; quiet < rounds && all < 200; all++) {
      await this.turn();
      quiet = this.boot.pending() ? 0 : quiet + 1;
      if (this.boot.pending()) this.boot.flush();
    }
    this.check();
  }

  /** Throws what nothing caught: on a device the app would have crashed. */
  check() {
    const [first] = this.env.errors.splice(0);
    if (first) throw first;
  }

  /** Settles until `look()` gives something true. A hang takes longer than a busy machine. */
  async until(look, patience = 60_000) {
    const begun = Date.now();
    for (;;) {
      await this.settle();
      const found = await look();
      if (found) return found;
      if (Date.now() - begun > patience) throw new Error(`not within ${patience} ms: ${look}\nseen: ${this.texts().join(" | ")}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  texts(at = this.document.body) {
    return seenTexts(at);
  }
  /** Whether a text is seen, whole. */
  sees(text) {
    return this.texts().some((one) => one === text);
  }

  all(selector) {
    return [...this.document.querySelectorAll(selector)].filter((el) => this.shown(el));
  }
  shown(el) {
    for (let one = el; one && one.nodeType === 1; one = one.parentNode) if (!visibleIn(one)) return false;
    return true;
  }

  /**
   * The one element that is meant: an element, `#id`, a selector, a text that is seen, or an accessibility text. Of several, one in
   * the layer on top, and there one that can be pressed.
   */
  find(what) {
    if (typeof what !== "string") return what;
    let found = [];
    if (/^[#.[]/.test(what)) found = this.all(what);
    if (found.length === 0) found = [...this.#texted(what), ...this.all("[aria-label]").filter((el) => el.getAttribute("aria-label") === what)];
    if (found.length === 0) throw new Error(`nothing is seen that is “${what}”; there is: ${this.texts().join(" | ")}`);
    const top = this.all(".overlay:not(.toast)").at(-1);
    const above = top ? found.filter((el) => top.contains(el)) : [];
    const nearest = above.length > 0 ? above : found;
    return nearest.find((el) => this.#pressable(el)) ?? nearest[0];
  }
  #pressable(el) {
    for (let one = el; one && one.nodeType === 1; one = one.parentNode) {
      if (["BUTTON", "INPUT", "SELECT", "TEXTAREA"].includes(one.tagName) || one.$node?.clickable) return true;
      if (one.$node?.name === "ListItem" || one.getAttribute("class")?.startsWith("overlay")) return false;
    }
    return false;
  }
  has(what) {
    try {
      return Boolean(this.find(what));
    } catch {
      return false;
    }
  }
  #texted(text) {
    const found = [];
    const visit = (node) => {
      if (node.nodeType !== 1 || !visibleIn(node)) return;
      for (const child of node.childNodes) {
        if (child.nodeType === 3 && child.data.trim() === text) found.push(node);
        else visit(child);
      }
      if (["INPUT", "TEXTAREA"].includes(node.tagName) && node.getAttribute("placeholder") === text) found.push(node);
    };
    visit(this.document.body);
    return found;
  }

  #event(type, init = {}) {
    const event = new this.window.Event(type, { bubbles: !["pointerenter", "pointerleave", "focus", "blur"].includes(type), cancelable: true });
    return Object.assign(event, { pointerId: 1, pointerType: "touch", button: 0, buttons: 1, clientX: 0, clientY: 0, ...init });
  }
  fire(what, type, init) {
    const el = this.find(what);
    const event = this.#event(type, init);
    el.dispatchEvent(event);
    return event;
  }

  /** Presses as a person does. What is switched off cannot be pressed. */
  async click(what, init = {}) {
    const el = this.find(what);
    for (let one = el; one && one.nodeType === 1; one = one.parentNode) {
      if (one.getAttribute("aria-disabled") === "true" || one.hasAttribute("disabled")) throw new Error(`“${what}” is switched off`);
    }
    if (el.closest("[inert]"))
      throw new Error(`“${what}” lies under: ${this.overlays.map((one) => `${one.kind} ${one.texts.join(" | ")}`).join("; ")}`);
    el.dispatchEvent(this.#event("pointerdown", init));
    this.#focus(el);
    for (const type of ["pointerup", "click"]) el.dispatchEvent(this.#event(type, init));
    await this.settle();
  }
  /** A press gives the focus to the nearest thing that takes it so. */
  #focus(el) {
    el.closest(this.boot.TAKES_FOCUS)?.focus();
  }
  async longPress(what, duration = 600) {
    const el = this.find(what);
    el.dispatchEvent(this.#event("pointerdown"));
    await new Promise((resolve) => setTimeout(resolve, duration));
    el.dispatchEvent(this.#event("pointerup"));
    await this.settle();
  }
  async rightClick(what) {
    this.fire(what, "contextmenu", { button: 2, pointerType: "mouse" });
    await this.settle();
  }
  /** Moves a finger: `points` are [x, y] in vp. */
  async drag(what, points, init = {}) {
    const el = this.find(what);
    points.forEach(([clientX, clientY], index) =>
      el.dispatchEvent(this.#event(index === 0 ? "pointerdown" : "pointermove", { clientX, clientY, ...init })),
    );
    const [clientX, clientY] = points.at(-1);
    el.dispatchEvent(this.#event("pointerup", { clientX, clientY, ...init }));
    await this.settle();
  }
  /** Puts a text in place of what a field has, as typing does. */
  async type(what, text) {
    const el = this.find(what);
    el.focus?.();
    el.value = text;
    el.dispatchEvent(this.#event("input"));
    await this.settle();
  }
  /** Slides to a value, or chooses an option by its index. */
  async set(what, value) {
    const el = this.find(what);
    if (el.tagName === "SELECT")
      [...el.children].forEach((option, at) => (at === Number(value) ? option.setAttribute("selected", "") : option.removeAttribute("selected")));
    else el.value = String(value);
    for (const type of el.tagName === "SELECT" ? ["change"] : ["input", "change"]) el.dispatchEvent(this.#event(type));
    await this.settle();
  }
  /** Presses a key: `key` as a browser names it ("Enter", "n"), `code` its place ("KeyN"). */
  async key(key, { code = codeOf(key), what = this.document.activeElement, ctrl = false, shift = false, alt = false, meta = false } = {}) {
    const el = this.find(what);
    for (const type of ["keydown", "keyup"]) {
      el.dispatchEvent(this.#event(type, { key, code, ctrlKey: ctrl, shiftKey: shift, altKey: alt, metaKey: meta }));
    }
    await this.settle();
  }
  async wheel(what, deltaX, deltaY) {
    this.fire(what, "wheel", { deltaX, deltaY });
    await this.settle();
  }

  async back() {
    const kept = this.boot.system.back();
    await this.settle();
    return kept;
  }
  async resize(width, height) {
    this.boot.system.resize(width, height);
    await this.settle();
  }
  async background() {
    this.boot.system.background();
    await this.settle();
  }
  async foreground() {
    this.boot.system.foreground();
    await this.settle();
  }
  get system() {
    return this.boot.system;
  }
  /** What the app asked of the system: `[{ name, args }]`. */
  get calls() {
    return this.env.calls ?? [];
  }
  get toasts() {
    return this.all(".overlay.toast").flatMap((el) => this.texts(el));
  }
  /** The title or first text of each dialog, sheet and menu that is open. */
  get overlays() {
    return this.all(".overlay:not(.toast)").map((el) => ({ kind: el.getAttribute("class").split(" ").slice(1).join(" "), texts: this.texts(el) }));
  }
  async close() {
    await this.boot.end();
    await this.settle();
  }
}

const codeOf = (key) => (/^[a-z]$/i.test(key) ? `Key${key.toUpperCase()}` : /^\d$/.test(key) ? `Digit${key}` : key === " " ? "Space" : key);
