/**
 * Whether a task ends within a time. Its failure is thrown; one that comes later is nobody's any more. For what must
 * go on without it, such as an end that has still to save.
 */
export async function endsWithin(milliseconds: number, task: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    // Not unref'd: the process must not end while somebody waits.
    timer = setTimeout(() => resolve(false), milliseconds);
  });
  const ended = task.then((): true => true);
  ended.catch(() => {});
  try {
    return await Promise.race([ended, late]);
  } finally {
    clearTimeout(timer);
  }
}
