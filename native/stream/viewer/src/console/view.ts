/** What a card shows of a machine: pure, so that each case is tested. */
import { strings } from "./strings.ts";
import type { Action, Vm } from "./vm.ts";

export interface CardView {
  readonly state: string;
  readonly running: boolean;
  /** Architecture, memory, processors, disk. */
  readonly facts: string;
  /** Why something failed, or more about the state; may be empty. */
  readonly words: string;
  /** What can be asked of it now. */
  readonly actions: readonly Action[];
  /** What the button that starts it says: after a crash it is an offer. */
  readonly start: string;
  /** Whether the report of a crash can be shown. */
  readonly report: boolean;
  /** Nothing but force is accepted while something is being done. */
  readonly busy: boolean;
}

/** By state; what is not named here cannot be told anything. */
const POSSIBLE: Readonly<Record<string, readonly Action[]>> = {
  stopped: ["start"],
  suspended: ["start"],
  running: ["stop", "pause", "suspend", "reset", "force-stop"],
  paused: ["resume", "suspend", "reset", "force-stop"],
  starting: ["force-stop"],
  ready: ["resume", "force-stop"],
  "powered-off": ["force-stop"],
  silent: ["force-stop"],
};

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"] as const;

/** A size for people, with three digits at most. */
export function human(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 10 ? 0 : 1;
  return `${value.toFixed(digits).replace(/\.0$/, "")} ${UNITS[unit]}`;
}

export function cardView(vm: Vm): CardView {
  const asked = vm.state === "running" && vm.askedToStop;
  const plain = asked ? strings.askedToStop : (strings.state[vm.state] ?? vm.state);
  const facts = [
    vm.arch,
    vm.memoryMib === undefined ? "" : human(vm.memoryMib * 1024 * 1024),
    vm.cpus === undefined ? "" : strings.cpus(vm.cpus),
    vm.usage === undefined ? "" : strings.onDisk(human(vm.usage)),
  ];
  return {
    state: vm.doing === undefined ? (vm.crash === undefined ? plain : strings.crashed) : strings.doing[vm.doing],
    running: vm.viewer !== undefined,
    facts: facts.filter((fact) => fact !== "").join(" · "),
    words: vm.problem || (vm.doing === undefined ? vm.detail || (asked ? strings.askedToStopDetail : "") : ""),
    actions: POSSIBLE[vm.state] ?? [],
    start: vm.crash === undefined ? strings.action.start : strings.startAgain,
    report: vm.crash?.report === true && vm.doing === undefined,
    busy: vm.doing !== undefined,
  };
}
