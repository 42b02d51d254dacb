// NavPathStack: the pages of a Navigation.
import { fire, readers, track, untracked } from "./signals.js";
import { businessError } from "./strict.js";
import { env, guard } from "./env.js";

export class NavPathInfo {
  constructor(name, param, onPop) {
    Object.assign(this, { name, param, onPop });
  }
}

let nextPage = 1;

export class NavPathStack {
  constructor() {
    Object.defineProperties(this, {
      $entries: { value: [], writable: true },
      $readers: { value: readers() },
      $parent: { value: undefined, writable: true },
      $interception: { value: undefined, writable: true },
    });
  }

  /** The entries, `{ info, key }`; whoever reads them is told of changes. */
  $read() {
    track(this.$readers);
    return this.$entries;
  }
  $changed() {
    fire(this.$readers);
    // Once the pages stand.
    if (this.$interception?.didShow) setTimeout(() => guard(() => this.$interception.didShow("navBar", "navBar", 0, false)));
  }
  #add(info, options, how = "push") {
    if (info?.name === undefined || info.name === "") throw businessError(401, "a page wants a name");
    const mode =
      typeof options === "object" ? Object.entries(env.enums.LaunchMode).find(([, value]) => value === options.launchMode)?.[0] : undefined;
    const known =
      mode === undefined || mode === "STANDARD" || mode === "NEW_INSTANCE" ? -1 : this.$entries.findLastIndex((one) => one.info.name === info.name);
    if (known >= 0) {
      const [entry] = mode === "POP_TO_SINGLETON" ? this.$entries.splice(known) : this.$entries.splice(known, 1);
      entry.info.param = info.param;
      this.$entries.push(entry);
    } else {
      if (how === "replace") this.$entries.pop();
      this.$entries.push({ info: info instanceof NavPathInfo ? info : new NavPathInfo(info.name, info.param, info.onPop), key: nextPage++ });
    }
    this.$changed();
  }
  pushPath(info, options) {
    this.#add(info, options);
  }
  pushPathByName(name, param, ...rest) {
    this.#add(
      new NavPathInfo(
        name,
        param,
        rest.find((one) => typeof one === "function"),
      ),
    );
  }
  async pushDestination(info, options) {
    this.#add(info, options);
  }
  async pushDestinationByName(name, param, ...rest) {
    this.pushPathByName(name, param, ...rest);
  }
  replacePath(info, options) {
    this.#add(info, options, "replace");
  }
  replacePathByName(name, param) {
    this.#add(new NavPathInfo(name, param), undefined, "replace");
  }
  #told(top, result) {
    if (result !== undefined && typeof result !== "boolean") top?.info.onPop?.({ info: top.info, result });
  }
  pop(result) {
    const top = this.$entries.pop();
    if (!top) return undefined;
    this.$changed();
    this.#told(top, result);
    return top.info;
  }
  #popTo(index, result) {
    const top = this.$entries.at(-1);
    this.$entries.splice(index + 1);
    this.$changed();
    this.#told(top, result);
  }
  popToName(name, result) {
    const index = this.$entries.findIndex((one) => one.info.name === name);
    if (index >= 0) this.#popTo(index, result);
    return index;
  }
  popToIndex(index, result) {
    if (index < this.$entries.length) this.#popTo(index, result);
  }
  moveToTop(name) {
    const index = this.$entries.findIndex((one) => one.info.name === name);
    if (index >= 0) this.moveIndexToTop(index);
    return index;
  }
  moveIndexToTop(index) {
    if (index < 0 || index >= this.$entries.length) return;
    this.$entries.push(...this.$entries.splice(index, 1));
    this.$changed();
  }
  removeByName(name) {
    const before = this.$entries.length;
    this.$entries = this.$entries.filter((one) => one.info.name !== name);
    this.$changed();
    return before - this.$entries.length;
  }
  removeByIndexes(indexes) {
    const before = this.$entries.length;
    this.$entries = this.$entries.filter((_, index) => !indexes.includes(index));
    this.$changed();
    return before - this.$entries.length;
  }
  clear() {
    if (this.$entries.length === 0) return;
    this.$entries = [];
    this.$changed();
  }
  // What a page reads of the stack is no state in ArkUI: nothing is drawn again by it.
  getAllPathName() {
    return untracked(() => this.$entries.map((one) => one.info.name));
  }
  getParamByIndex(index) {
    return this.$entries[index]?.info.param;
  }
  getParamByName(name) {
    return this.$entries.filter((one) => one.info.name === name).map((one) => one.info.param);
  }
  getIndexByName(name) {
    return this.$entries.flatMap((one, index) => (one.info.name === name ? [index] : []));
  }
  size() {
    return this.$entries.length;
  }
  getParent() {
    return this.$parent ?? null;
  }
  disableAnimation() {}
  setInterception(interception) {
    this.$interception = interception;
  }
}
