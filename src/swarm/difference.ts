export interface Difference {
  gone: string[];
  come: string[];
}

/** What two sorted lists, each without repetition, do not have in common; costs little where they are alike. */
export function difference(before: readonly string[], after: readonly string[]): Difference {
  let start = 0;
  while (start < before.length && before[start] === after[start]) start++;
  let [left, right] = [before.length, after.length];
  while (left > start && right > start && before[left - 1] === after[right - 1])
    [left, right] = [left - 1, right - 1];
  const result: Difference = { gone: [], come: [] };
  let at = start;
  for (let index = start; index < left; index++) {
    const item = before[index]!;
    while (at < right && after[at]! < item) result.come.push(after[at++]!);
    if (at < right && after[at] === item) at++;
    else result.gone.push(item);
  }
  while (at < right) result.come.push(after[at++]!);
  return result;
}
