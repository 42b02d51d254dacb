/** What this browser keeps of the host that it is paired with: keys that cannot be read, in its own storage for this address. */
import type { Paired } from "./trust.ts";

const NAME = "sampan";
const STORE = "device";
const KEY = "paired";

function asked<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the browser's storage failed"));
  });
}

async function store(mode: IDBTransactionMode): Promise<IDBObjectStore> {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE);
  const database = await asked(request);
  return database.transaction(STORE, mode).objectStore(STORE);
}

export async function load(): Promise<Paired | undefined> {
  return asked((await store("readonly")).get(KEY) as IDBRequest<Paired | undefined>);
}

export async function save(paired: Paired): Promise<void> {
  await asked((await store("readwrite")).put(paired, KEY));
}

/** What the owner reads of this device: its browser and its system. */
export function name(agent: string = navigator.userAgent): string {
  const first = (pairs: readonly (readonly [RegExp, string])[], otherwise: string): string =>
    pairs.find(([pattern]) => pattern.test(agent))?.[1] ?? otherwise;
  const browser = first([
    [/HuaweiBrowser|ArkWeb/, "Huawei Browser"],
    [/Edg\//, "Edge"],
    [/Firefox\//, "Firefox"],
    [/Chrom(e|ium)\//, "Chromium"],
    [/Safari\//, "Safari"],
  ], "Browser");
  const system = first([
    [/HarmonyOS|OpenHarmony/, "HarmonyOS"],
    [/Android/, "Android"],
    [/iPhone|iPad/, "iOS"],
    [/Windows/, "Windows"],
    [/Mac OS X/, "macOS"],
    [/Linux|X11/, "Linux"],
  ], "");
  return system === "" ? browser : `${browser}, ${system}`;
}
