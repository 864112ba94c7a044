import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import type { CID } from "multiformats/cid";
import { systemClock } from "../../../src/clock.ts";
import { StorageError } from "../../../src/errors.ts";
import { rawBlock } from "../../../src/objects/object.ts";
import { type BlockSource, type FetchJob, runFetchJob } from "../../../src/store/fetch-job.ts";
import { createSemaphores } from "../../../src/store/semaphores.ts";
import { createSuspects } from "../../../src/store/suspects.ts";

/** Holders as the tests describe them: which blocks each has, and after how many answers it is lost. */
interface Simulated {
  has: Set<string>;
  /** Answers before the connection is lost; it cannot be dialled again. */
  lives: number;
  /** Never answers though connected. */
  silent?: boolean;
}

function simulate(holders: Map<string, Simulated>, announced: string[] = []) {
  const answers = new Map<string, number>();
  const listeners = new Map<string, () => void>();
  let inFlight = 0;
  const seen = { mostInFlight: 0, moved: 0 };
  const isLost = (holder: string): boolean => (answers.get(holder) ?? 0) >= holders.get(holder)!.lives;
  const source: BlockSource = {
    async connect(holder) {
      if (!holders.has(holder) || isLost(holder)) throw new Error("refused");
    },
    async ask(cid, holder, signal) {
      inFlight++;
      seen.mostInFlight = Math.max(seen.mostInFlight, inFlight);
      try {
        const simulated = holders.get(holder)!;
        await new Promise<void>((resolve, reject) => {
          signal.addEventListener("abort", () => reject(new Error("aborted")));
          if (simulated.silent !== true) setImmediate(resolve);
        });
        if (isLost(holder)) throw new Error("lost");
        if (!simulated.has.has(cid.toString())) throw new Error("lacks it");
        answers.set(holder, (answers.get(holder) ?? 0) + 1);
        seen.moved++;
        if (isLost(holder)) listeners.get(holder)?.();
        return 1;
      } finally {
        inFlight--;
      }
    },
    onLost(holder, lost) {
      listeners.set(holder, lost);
      return () => listeners.delete(holder);
    },
    async *search() {
      yield* announced;
    },
  };
  return { source, seen };
}

const cids: CID[] = Array.from({ length: 24 }, (_, i) => rawBlock(Uint8Array.of(i)).cid);

function job(source: BlockSource, changes: Partial<FetchJob>): FetchJob & { got: Set<string> } {
  const got = new Set<string>();
  const rest = { cids, holders: [], root: undefined, signal: undefined };
  return {
    ...rest,
    clock: systemClock,
    semaphores: createSemaphores(4),
    suspects: createSuspects(),
    source,
    got,
    arrived(cid) {
      assert.ok(!got.has(cid.toString()), "a block arrives once");
      got.add(cid.toString());
    },
    ...changes,
  };
}

const all = new Set(cids.map(String));

test("a fetch succeeds whenever every block has a living holder, moving each block once", async () => {
  const holder = fc.record({
    has: fc.subarray(cids.map(String)).map((subset) => new Set(subset)),
    lives: fc.oneof(fc.constant(Infinity), fc.integer({ min: 0, max: 10 })),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(holder, { maxLength: 5 }), async (list) => {
      const holders = new Map<string, Simulated>(list.map((simulated, i) => [`h${i}`, simulated]));
      const { source, seen } = simulate(holders);
      const given = job(source, { holders: [...holders.keys()] });
      const error = await runFetchJob(given).then(
        () => undefined,
        (reason: Error) => reason,
      );
      const living = list.filter(({ lives }) => lives === Infinity);
      const servable = cids.every((cid) => living.some(({ has }) => has.has(cid.toString())));
      if (servable) assert.equal(error, undefined);
      if (error === undefined) assert.deepEqual(given.got, all);
      else assert.equal(error.name, "UnavailableError");
      assert.equal(seen.moved, given.got.size);
      assert.ok(seen.mostInFlight <= 4 * list.length);
    }),
    { numRuns: 60 },
  );
});

test("at most four wants are in flight to one holder, over all fetches", async () => {
  const { source, seen } = simulate(new Map([["a", { has: all, lives: Infinity }]]));
  const semaphores = createSemaphores(4);
  await Promise.all(
    [cids.slice(0, 12), cids.slice(12)].map((part) =>
      runFetchJob(job(source, { cids: part, holders: ["a"], semaphores })),
    ),
  );
  assert.equal(seen.mostInFlight, 4);
});

test("peers from the DHT are asked when the given holders fail", async () => {
  const { source } = simulate(new Map([["b", { has: all, lives: Infinity }]]), ["a", "b"]);
  const given = job(source, { holders: ["a"] });
  await runFetchJob(given);
  assert.deepEqual(given.got, all);
});

test("a disk that refuses ends the fetch with its own error", async () => {
  const { source } = simulate(new Map([["a", { has: all, lives: Infinity }]]));
  const full = new StorageError("full");
  await assert.rejects(
    runFetchJob(job({ ...source, ask: () => Promise.reject(full) }, { holders: ["a"] })),
    (error) => error === full,
  );
});

/** A clock that the test moves. */
function manualClock(t: TestContext): (milliseconds: number) => Promise<void> {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  t.mock.method(performance, "now", () => Date.now());
  return async (milliseconds) => {
    t.mock.timers.tick(milliseconds);
    // The simulated holders answer in the next turn of the event loop.
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
}

test("blocks that a silent holder owes are asked of an idle one", async (t) => {
  const tick = manualClock(t);
  const { source } = simulate(
    new Map([
      ["silent", { has: all, lives: Infinity, silent: true }],
      ["quick", { has: all, lives: Infinity }],
    ]),
  );
  const given = job(source, { holders: ["silent", "quick"] });
  const done = runFetchJob(given);
  await tick(1);
  assert.equal(given.got.size, cids.length - 4, "all but what the silent one was asked for");
  await tick(10_000);
  await done;
  assert.deepEqual(given.got, all);
});

test("a holder that stays silent is asked once more, then given up with the reason", async (t) => {
  const tick = manualClock(t);
  const { source } = simulate(new Map([["silent", { has: all, lives: Infinity, silent: true }]]));
  const rejected = assert.rejects(runFetchJob(job(source, { cids: cids.slice(0, 1), holders: ["silent"] })), {
    name: "UnavailableError",
    missing: 1,
    message: /Cannot fetch 1 of 1 blocks .*silent: it sent nothing for \d+ s; the DHT names nobody else/,
  });
  await tick(1);
  for (let elapsed = 0; elapsed < 100_000; elapsed += 10_000) await tick(10_000);
  await rejected;
});

test("a holder that silently owes a block is not asked for it again while another can give it", async (t) => {
  const tick = manualClock(t);
  const asks: string[] = [];
  const { source } = simulate(
    new Map([
      ["silent", { has: all, lives: Infinity, silent: true }],
      ["late", { has: all, lives: Infinity, silent: true }],
    ]),
  );
  const counting: BlockSource = {
    ...source,
    ask(cid, holder, signal) {
      asks.push(`${holder} ${cid}`);
      return source.ask(cid, holder, signal);
    },
  };
  const stop = new AbortController();
  const given = job(counting, { cids: cids.slice(0, 1), holders: ["silent", "late"], signal: stop.signal });
  const rejected = assert.rejects(runFetchJob(given), { name: "UnavailableError" });
  await tick(1);
  for (let elapsed = 0; elapsed < 35_000; elapsed += 5_000) await tick(5_000);
  stop.abort();
  await rejected;
  assert.ok(asks.length > 0);
  const bySilent = asks.filter((ask) => ask.startsWith("silent"));
  assert.equal(bySilent.length, 1, "the other one was asked meanwhile");
  assert.ok(asks.some((ask) => ask.startsWith("late")));
});

test("a holder that was silent in one fetch delays the next ones no more, until it has another chance", async (t) => {
  const tick = manualClock(t);
  const hanging: Simulated = { has: all, lives: Infinity, silent: true };
  const { source } = simulate(
    new Map<string, Simulated>([
      ["hanging", hanging],
      ["quick", { has: all, lives: Infinity }],
    ]),
  );
  const asked: string[] = [];
  const counting: BlockSource = {
    ...source,
    ask(cid, holder, signal) {
      asked.push(holder);
      return source.ask(cid, holder, signal);
    },
  };
  const suspects = createSuspects();
  const fetch = (from: number): Promise<void> =>
    runFetchJob(job(counting, { cids: cids.slice(from, from + 8), holders: ["hanging", "quick"], suspects }));
  const first = fetch(0);
  await tick(1);
  await tick(10_000);
  await first;
  assert.ok(asked.includes("hanging"));

  asked.length = 0;
  const second = fetch(8);
  await tick(1);
  await second;
  assert.ok(!asked.includes("hanging"), "it is not even asked");

  await tick(60_000);
  hanging.silent = false;
  const third = fetch(16);
  await tick(1);
  await third;
  assert.ok(asked.includes("hanging"), "it has another chance");
});

test("a holder that was silent is asked for what nobody else has", async (t) => {
  const tick = manualClock(t);
  const { source } = simulate(
    new Map([
      ["suspect", { has: all, lives: Infinity }],
      ["poor", { has: new Set<string>(), lives: Infinity }],
    ]),
  );
  const suspects = createSuspects();
  suspects.add("suspect", performance.now());
  const given = job(source, { holders: ["suspect", "poor"], suspects });
  const done = runFetchJob(given);
  await tick(1);
  await done;
  assert.deepEqual(given.got, all);
});

test("the DHT is asked for more holders while the only known one is silent", async (t) => {
  const tick = manualClock(t);
  const { source } = simulate(
    new Map([
      ["silent", { has: all, lives: Infinity, silent: true }],
      ["found", { has: all, lives: Infinity }],
    ]),
    ["found"],
  );
  const given = job(source, { holders: ["silent"] });
  const done = runFetchJob(given);
  await tick(1);
  assert.equal(given.got.size, 0);
  for (let elapsed = 0; elapsed < 25_000; elapsed += 5_000) await tick(5_000);
  await done;
  assert.deepEqual(given.got, all);
});

const never = new Promise<never>(() => {});

test("what is complete does not wait for a holder whose dial hangs", async () => {
  const { source } = simulate(new Map([["quick", { has: all, lives: Infinity }]]));
  const connect: BlockSource["connect"] = (holder, signal) =>
    holder === "dead" ? never : source.connect(holder, signal);
  const given = job({ ...source, connect }, { holders: ["dead", "quick"] });
  await runFetchJob(given);
  assert.deepEqual(given.got, all);
});

test("what is complete does not wait for a holder that owes other fetches its answers", async () => {
  const { source } = simulate(
    new Map(["busy", "quick"].map((name) => [name, { has: all, lives: Infinity }])),
  );
  const semaphores = createSemaphores(4);
  for (let held = 0; held < 4; held++) await semaphores.acquire("busy");
  const given = job(source, { holders: ["busy", "quick"], semaphores });
  await runFetchJob(given);
  assert.deepEqual(given.got, all);
});

test("a fetch that is given up ends at once, whatever its holders and the DHT do", async () => {
  const { source } = simulate(new Map([["deaf", { has: all, lives: Infinity }]]));
  const deaf: BlockSource = {
    ...source,
    ask: () => never,
    search: () => ({ [Symbol.asyncIterator]: () => ({ next: () => never }) }),
  };
  for (const holders of [["deaf"], []]) {
    const stop = new AbortController();
    const fetching = runFetchJob(job(deaf, { holders, signal: stop.signal }));
    setImmediate(() => stop.abort());
    await assert.rejects(fetching, { name: "UnavailableError", message: /it was given up/ });
  }
});
