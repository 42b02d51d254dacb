/** What the console says of a machine, read with care: it is asked every two seconds. */

export const ACTIONS = ["start", "resume", "stop", "pause", "suspend", "reset", "force-stop"] as const;
export type Action = (typeof ACTIONS)[number];

export interface Vm {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  /** More in words; may be empty. */
  readonly detail: string;
  /** Why the last thing that was asked for failed; may be empty. */
  readonly problem: string;
  readonly arch: string;
  readonly memoryMib: number | undefined;
  readonly cpus: number | undefined;
  /** Bytes that it takes of the disk. */
  readonly usage: number | undefined;
  /** Where its screen is; it holds the key to it. */
  readonly viewer: string | undefined;
  /** Which picture there is: `live`, or a snapshot's id. */
  readonly picture: string | undefined;
  readonly doing: Action | undefined;
  readonly askedToStop: boolean;
  /** QEMU died in its last run; whether there is a report of it. */
  readonly crash: { readonly report: boolean } | undefined;
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");

const count = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;

/** The address of a viewer on this machine; nothing else is made a link. */
export function viewerUrl(value: unknown): string | undefined {
  if (typeof value !== "string" || !URL.canParse(value)) return undefined;
  const { protocol, hostname, href } = new URL(value);
  const here = hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
  return protocol === "http:" && here ? href : undefined;
}

function parseVm(value: unknown): Vm | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const member = value as Readonly<Record<string, unknown>>;
  const id = text(member["id"]);
  if (!/^[0-9a-f-]{36}$/.test(id)) return undefined;
  const doing = ACTIONS.find((action) => action === member["doing"]);
  const picture = text(member["picture"]);
  const crash: unknown = member["crash"];
  return {
    id,
    name: text(member["name"]) || id,
    state: text(member["state"]),
    detail: text(member["detail"]),
    problem: text(member["problem"]),
    arch: text(member["arch"]),
    memoryMib: count(member["memory_mib"]),
    cpus: count(member["cpus"]),
    usage: count(member["usage"]),
    viewer: viewerUrl(member["viewer"]),
    picture: picture === "" ? undefined : picture,
    doing,
    askedToStop: member["asked_to_stop"] === true,
    crash: typeof crash === "object" && crash !== null
      ? { report: (crash as { readonly report?: unknown }).report === true } : undefined,
  };
}

/** The machines of a listing; undefined if it is none. */
export function parseVms(value: unknown): readonly Vm[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.map(parseVm).filter((vm) => vm !== undefined);
}
