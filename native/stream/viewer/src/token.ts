/**
 * The key to this virtual machine. It arrives in the address's fragment, which browsers never send
 * to a server, moves to the tab's session storage and leaves the address bar, so that it is neither
 * on screen nor in the history; a reload finds it in the storage.
 */

/** What of the browser is needed, so that tests can stand in for it. */
export interface TokenHome {
  readonly hash: string;
  load(): string | null;
  /** False when the browser keeps no session storage: the fragment then stays. */
  save(token: string): boolean;
  hideFragment(): void;
}

export function tokenIn(hash: string): string | undefined {
  const token = new URLSearchParams(hash.replace(/^#/, "")).get("token");
  return token === null || token === "" ? undefined : token;
}

export function takeToken(home: TokenHome): string | undefined {
  const token = tokenIn(home.hash);
  if (token === undefined) return home.load() ?? undefined;
  if (home.save(token)) home.hideFragment();
  return token;
}

const STORAGE_KEY = "sampan.token";

export function browserHome(): TokenHome {
  return {
    hash: location.hash,
    load: () => {
      try {
        return sessionStorage.getItem(STORAGE_KEY);
      } catch {
        return null;
      }
    },
    save: (token) => {
      try {
        sessionStorage.setItem(STORAGE_KEY, token);
        return sessionStorage.getItem(STORAGE_KEY) === token;
      } catch {
        return false;
      }
    },
    hideFragment: () => history.replaceState(null, "", location.pathname + location.search),
  };
}
