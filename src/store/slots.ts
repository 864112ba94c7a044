/** At most `limit` tasks at a time under one name, over all fetches. */
export interface Slots {
  /** Resolves to a function that gives the slot back. */
  acquire(name: string): Promise<() => void>;
}

export function createSlots(limit: number): Slots {
  const taken = new Map<string, { count: number; waiting: (() => void)[] }>();
  return {
    async acquire(name) {
      const slots = taken.get(name) ?? { count: 0, waiting: [] };
      taken.set(name, slots);
      if (slots.count < limit) slots.count++;
      else await new Promise<void>((resolve) => slots.waiting.push(resolve));
      return () => {
        const next = slots.waiting.shift();
        // A slot passes to the next in line without becoming free.
        if (next !== undefined) next();
        else if (--slots.count === 0) taken.delete(name);
      };
    },
  };
}
