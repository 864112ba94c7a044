/**
 * How long two halves of a run take to notice each other: from the moment of a link between them to the first `split`
 * that a peer of either half tells of, with the periods that runs have by default. Exits with 1 when that is ever over
 * a minute.
 *
 *     npm run bench:split -- [--peers 3] [--link "two peers"] [--times 5] [--json]
 */
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { runConfigSchema } from "../../src/objects/config.ts";
import {
  complete,
  createArena,
  eventually,
  type Half,
  LINKS,
  quickConfig,
  startHalf,
} from "../../test/integration/swarm/support.ts";

const LIMIT_MS = 60_000;
const GIVE_UP_MS = 180_000;
const ROUNDS = 3;
/** The longest time between two searches of a peer, so that the link comes at any point of it. */
const PHASE_MS = 25_000;
/** Until nobody is new to anybody; who has just started tells of no split. */
const SETTLED_MS = 20_000;

const { values: options } = parseArgs({
  options: {
    /** Of each half. */
    peers: { type: "string", default: "3" },
    link: { type: "string", default: "two bootstrap nodes" },
    times: { type: "string", default: "5" },
    json: { type: "boolean", default: false },
  },
});
const link = Object.entries(LINKS).find(([name]) => name === options.link)?.[1];
if (link === undefined) throw new Error(`--link is one of ${Object.keys(LINKS).join(", ")}`);
const peers = Number(options.peers);
const config = runConfigSchema.parse({ ...quickConfig(ROUNDS), swarm: {} });

/** Milliseconds until somebody of the half tells of a split; infinite when nobody does. */
async function noticed({ members }: Half, since: number, signal: AbortSignal): Promise<number> {
  const told = (): boolean => members.some(({ events }) => events.some(({ type }) => type === "split"));
  await Promise.race([eventually(members, told), once(signal, "abort")]);
  return told() ? performance.now() - since : Number.POSITIVE_INFINITY;
}

/** Of each half. */
async function measure(join: NonNullable<typeof link>): Promise<[number, number]> {
  const cleanups: (() => unknown)[] = [];
  const t = { after: (cleanup: () => unknown) => void cleanups.push(cleanup) };
  try {
    const arena = await createArena(t);
    const [a, b] = (await Promise.all(
      ["a", "b"].map((name) => startHalf(t, arena, { name, config, peers })),
    )) as [Half, Half];
    await eventually(arena.members, () => complete(a.members) && complete(b.members));
    await delay(SETTLED_MS + Math.random() * PHASE_MS);
    const since = performance.now();
    const signal = AbortSignal.timeout(GIVE_UP_MS);
    await join(a, b);
    return await Promise.all([noticed(a, since, signal), noticed(b, since, signal)]);
  } finally {
    for (const cleanup of cleanups) await cleanup();
  }
}

const median = (values: number[]): number => values.toSorted((x, y) => x - y)[Math.floor(values.length / 2)]!;
const times: [number, number][] = [];
for (let run = 0; run < Number(options.times); run++) {
  const [a, b] = await measure(link);
  times.push([Math.round(a), Math.round(b)]);
  if (!options.json) console.log(`${(a / 1000).toFixed(1)} s and ${(b / 1000).toFixed(1)} s`);
}
const first = times.map((pair) => Math.min(...pair));
const both = times.map((pair) => Math.max(...pair));
const report = {
  link: options.link,
  peers,
  times,
  firstMs: { median: median(first), max: Math.max(...first) },
  bothMs: { median: median(both), max: Math.max(...both) },
};
console.log(options.json ? JSON.stringify(report) : report);
if (report.bothMs.max > LIMIT_MS) process.exitCode = 1;
