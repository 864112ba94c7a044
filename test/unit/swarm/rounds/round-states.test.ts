import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { createLogger } from "../../../../src/log.ts";
import {
  createRoundStates,
  type KeptRound,
  type RoundStates,
} from "../../../../src/swarm/rounds/round-states.ts";
import { node } from "../../objects/samples.ts";
import { openStore } from "../../store/disk.ts";

const ELEMENTS = 5;
const floats = fc
  .array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: ELEMENTS, maxLength: ELEMENTS })
  .map((values) => Float32Array.from(values));
const plain = { noNullPrototype: true };
const rounds: fc.Arbitrary<KeptRound> = fc.record(
  {
    slot: fc.record(
      { work: fc.constant("train" as const), round: fc.nat(), path: fc.nat(), replica: fc.nat() },
      plain,
    ),
    bases: fc.array(fc.string().map(node), { minLength: 1, maxLength: 4 }),
    parameters: floats,
    moments: fc.record({ step: fc.nat(), firstMoment: floats, secondMoment: floats }, plain),
    progress: fc.record(
      { steps: fc.nat(), loss: fc.double({ min: 1e-9, max: 20, noNaN: true }), warmsUp: fc.boolean() },
      plain,
    ),
  },
  plain,
);
const [ROUND] = fc.sample(rounds, { numRuns: 1, seed: 1 }) as [KeptRound];

async function open(t: TestContext): Promise<RoundStates & { file: string; lines: string[] }> {
  const dir = await mkdtemp(join(tmpdir(), "pathweave-round-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const { store, close } = await openStore(dir);
  t.after(close);
  const lines: string[] = [];
  const states = createRoundStates({ store, logger: createLogger("warn", (line) => lines.push(line)) });
  return { ...states, file: join(dir, "state", "round.bin"), lines };
}

test("what is kept of a round comes back as it was, until it is cleared", async (t) => {
  const { load, write, clear } = await open(t);
  assert.equal(await load(), undefined);
  await fc.assert(
    fc.asyncProperty(rounds, async (round) => {
      await write(round);
      assert.deepEqual(await load(), round);
    }),
    { numRuns: 50 },
  );
  await clear();
  assert.equal(await load(), undefined);
  await clear();
});

test("what was damaged is not gone on with, and said", async (t) => {
  const { load, write, file, lines } = await open(t);
  await write(ROUND);
  const whole = await readFile(file);
  for (let at = 0; at < whole.byteLength; at++) {
    const damaged = Buffer.from(whole);
    damaged[at]! ^= 1;
    await writeFile(file, damaged);
    // A bit of a number in the head may give another number, which nothing can tell from the right one.
    const read = await load();
    if (read !== undefined) assert.deepEqual(read.parameters, ROUND.parameters);
    else assert.match(lines.pop()!, /what was kept of a round is damaged, so it begins anew/);
    await writeFile(file, whole.subarray(0, at));
    assert.equal(await load(), undefined);
    if (at > 0) assert.match(lines.pop()!, /damaged/);
  }
  assert.deepEqual(lines, []);
});
