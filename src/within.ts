/**
 * Whether a task ends within a time. Its failure is thrown; one that comes later is nobody's any more. For what must
 * go on without it, such as an end that has still to save.
 */
import type { Clock } from "./clock.ts";

export async function endsWithin(
  milliseconds: number,
  task: Promise<unknown>,
  clock: Clock,
): Promise<boolean> {
  let cancel: (() => void) | undefined;
  const late = new Promise<false>((resolve) => {
    cancel = clock.after(milliseconds, () => resolve(false));
  });
  const ended = task.then((): true => true);
  ended.catch(() => {});
  try {
    return await Promise.race([ended, late]);
  } finally {
    cancel?.();
  }
}
