/** At most `limit` tasks at a time under one name, over all fetches. */
export interface Semaphores {
  /** Resolves to a function that lets the next one in. */
  acquire(name: string): Promise<() => void>;
}

export function createSemaphores(limit: number): Semaphores {
  const semaphores = new Map<string, { count: number; waiting: (() => void)[] }>();
  return {
    async acquire(name) {
      const semaphore = semaphores.get(name) ?? { count: 0, waiting: [] };
      semaphores.set(name, semaphore);
      if (semaphore.count < limit) semaphore.count++;
      else await new Promise<void>((resolve) => semaphore.waiting.push(resolve));
      return () => {
        const next = semaphore.waiting.shift();
        // It passes to the next in line without becoming free.
        if (next !== undefined) next();
        else if (--semaphore.count === 0) semaphores.delete(name);
      };
    },
  };
}
