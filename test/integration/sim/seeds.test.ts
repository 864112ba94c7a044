/**
 * A hundred seeds of the simulation, shared out to two processes (`npm run simulate` has any number). What does not hold
 * is said with the command that repeats it.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import path from "node:path";
import process from "node:process";
import { test } from "node:test";
import { promisify } from "node:util";
import { z } from "zod";
import { awaited } from "../../waits.ts";

const SIMULATE = path.resolve(import.meta.dirname, "../../../scripts/simulate.ts");
/** A hundred, and one in which two halves meet, which is rare. Each batch is a test, so that each has its deadline. */
const BATCHES = ["1-20", "21-40", "41-60", "61-80", "81-100", "173"];
/** One with a short trace. */
const REPEATED = "1";

const sumSchema = z.looseObject({
  seeds: z.number(),
  folded: z.number(),
  lost: z.number(),
  foldedTwice: z.number(),
  headsAgree: z.boolean(),
  broken: z.array(z.string()),
  unreached: z.array(z.string()),
});

/** Resolves to what the script prints, whatever its exit code. */
async function simulate(...args: string[]): Promise<string> {
  const options = { maxBuffer: 64 << 20 };
  const run = promisify(execFile)(process.execPath, [SIMULATE, ...args], options);
  const { stdout } = await awaited(
    `simulate ${args.join(" ")}`,
    run.catch((error: unknown) => error as { stdout: string }),
  );
  return stdout;
}

/** What no batch so far has reached. */
let unreached: string[] | undefined;

for (const seeds of BATCHES)
  test(`in seeds ${seeds} nothing is lost, nothing is folded twice, and all agree`, async (context) => {
    const output = await simulate("--seeds", seeds, "--workers", "2", "--json");
    const sum = sumSchema.parse(JSON.parse(output.trim().split("\n").at(-1)!));
    context.diagnostic(JSON.stringify(sum));
    assert.deepEqual(sum.broken, [], "npm run simulate -- --seed N --trace shows how");
    const { lost, foldedTwice, headsAgree } = sum;
    assert.deepEqual({ lost, foldedTwice, headsAgree }, { lost: 0, foldedTwice: 0, headsAgree: true });
    assert.ok(sum.folded > 0);
    unreached = sum.unreached.filter((mark) => unreached?.includes(mark) ?? true);
  });

test("together they reach every rare branch", () => assert.deepEqual(unreached, []));

test("one seed is one execution, to the last byte of its trace", async () => {
  const [one, other] = await Promise.all([
    simulate("--seed", REPEATED, "--trace"),
    simulate("--seed", REPEATED, "--trace"),
  ]);
  assert.ok(one.split("\n").length > 100, "there is a trace");
  assert.equal(one, other);
});
