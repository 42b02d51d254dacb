/** What was done to a text field, by what it holds before and after: pure. */

export interface Difference {
  /** Characters that were taken away before the caret. */
  readonly back: number;
  /** What was written in their place. */
  readonly text: string;
}

export function difference(before: string, after: string): Difference {
  const old = [...before];
  const now = [...after];
  let same = 0;
  while (same < old.length && same < now.length && old[same] === now[same]) same++;
  return { back: old.length - same, text: now.slice(same).join("") };
}
