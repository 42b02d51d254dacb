/** Every text of the console that a person reads, in one place. */
import type { Action } from "./vm.ts";

export const strings = {
  title: "Virtual machines",
  empty: ["No machines yet: ", "sampan new", " makes one."],
  state: {
    ready: "Ready",
    running: "Running",
    paused: "Paused",
    "powered-off": "Powered off",
    ending: "Ending…",
    suspended: "Suspended",
    stopped: "Stopped",
    silent: "Does not answer",
    broken: "Broken",
  } as Readonly<Record<string, string>>,
  doing: {
    start: "Starting…",
    resume: "Resuming…",
    stop: "Shutting down…",
    pause: "Pausing…",
    suspend: "Suspending…",
    reset: "Resetting…",
    "force-stop": "Stopping by force…",
  } satisfies Record<Action, string>,
  action: {
    start: "Start",
    resume: "Resume",
    stop: "Shut down",
    pause: "Pause",
    suspend: "Suspend",
    reset: "Reset",
    "force-stop": "Force stop",
  } satisfies Record<Action, string>,
  askedToStop: "Asked to shut down…",
  askedToStopDetail: "The guest was asked to shut down. If it does not, look at its screen, or stop it by force.",
  open: "Open screen",
  actionOn: (action: string, name: string) => `${action} ${name}`,
  noPicture: "No picture",
  cpus: (count: number) => (count === 1 ? "1 CPU" : `${count} CPUs`),
  onDisk: (size: string) => `${size} on disk`,
  confirm: {
    reset: (name: string) => `Reset ${name}? What its guest has not saved is lost.`,
    "force-stop": (name: string) => `Stop ${name} by force? Its guest is not asked, and what it has not saved is lost.`,
  } as Readonly<Partial<Record<Action, (name: string) => string>>>,
  cancel: "Cancel",
  gone: "The console is gone",
  goneDetail: "It was ended, or this machine does not answer. The machines go on; start sampan serve again, "
    + "and open the address that it prints.",
  refused: "Not allowed",
  refusedDetail: "This address has no valid key. Open the whole address that sampan serve printed, "
    + "with everything after the # sign.",
  failed: "The list cannot be read",
  news: (name: string, state: string) => `${name}: ${state}`,
} as const;
