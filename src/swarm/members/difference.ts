export interface Difference<T> {
  gone: T[];
  come: T[];
}

/**
 * What two lists, each sorted by a key and without repetition, do not have in common. Costs little where they are
 * alike: equal items of start and end are passed over at once.
 */
export function difference<T>(
  before: readonly T[],
  after: readonly T[],
  keyOf: (item: T) => string,
): Difference<T> {
  let start = 0;
  while (start < before.length && before[start] === after[start]) start++;
  let [left, right] = [before.length, after.length];
  for (; left > start && right > start && before[left - 1] === after[right - 1]; left--) right--;
  const result: Difference<T> = { gone: [], come: [] };
  let at = start;
  for (let index = start; index < left; index++) {
    const item = before[index]!;
    if (item === after[at] && at < right) {
      at++;
      continue;
    }
    const key = keyOf(item);
    while (at < right && keyOf(after[at]!) < key) result.come.push(after[at++]!);
    if (at < right && after[at] === item) at++;
    else result.gone.push(item);
  }
  while (at < right) result.come.push(after[at++]!);
  return result;
}

/** The list with a difference applied, in order. */
export function apply<T>(
  before: readonly T[],
  { gone, come }: Difference<T>,
  keyOf: (item: T) => string,
): T[] {
  const list = [...before];
  for (const item of gone) list.splice(place(list, keyOf(item), keyOf), 1);
  for (const item of come) list.splice(place(list, keyOf(item), keyOf), 0, item);
  return list;
}

/** Where a key is in a list that is sorted by keys, or would be. */
export function place<T>(list: readonly T[], key: string, keyOf: (item: T) => string): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keyOf(list[middle]!) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Whether two lists hold the very same items in the same order. */
export function isSame(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
