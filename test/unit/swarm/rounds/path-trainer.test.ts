import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { systemClock } from "../../../../src/clock.ts";
import { createEngine } from "../../../../src/engine/engine.ts";
import type { Batch } from "../../../../src/engine/types.ts";
import { runConfigSchema } from "../../../../src/objects/config.ts";
import { createPathTrainer } from "../../../../src/swarm/rounds/path-trainer.ts";
import type { PathTrainer, RoundState, TrainedRound } from "../../../../src/swarm/types.ts";
import { BATCH_SIZE, batches, optimizer, shape, weights } from "../../engine/support.ts";
import { patient } from "../../../waits.ts";

const STEPS = 24;
const SLOT = { work: "train" as const, round: 1, path: 0, replica: 0 };
const signal = patient;
const { training } = runConfigSchema.parse({
  name: "trainer",
  grid: [1],
  levels: [{ name: "model", parts: ["embedding", "blocks 0-1", "head"], choose: "shared" }],
  training: { ...optimizer, innerSteps: STEPS, batchSize: BATCH_SIZE, seedSteps: 3, learningRate: 0.01 },
});

async function open(t: TestContext, keepMs: number): Promise<PathTrainer> {
  const engine = await createEngine({
    shape,
    batchSize: BATCH_SIZE,
    kind: "compiled",
    device: "cpu",
    threads: 1,
    stepsPerCall: 2,
  });
  const trainer = createPathTrainer({
    clock: systemClock,
    engine,
    training,
    keepMs,
    learningRate: (step) => 0.01 / (1 + step),
    batches: async () => (step) => batches(step).next().value as Batch,
  });
  t.after(() => trainer.close());
  return trainer;
}

interface Outcome {
  parameters: Float32Array;
  trained: TrainedRound;
}

/** Trains the round to its end; `keep` sees copies of what is kept. */
async function train(
  trainer: PathTrainer,
  from: Partial<RoundState>,
  keep: (state: RoundState) => void = () => {},
): Promise<Outcome> {
  const parameters = from.parameters ?? weights();
  const trained = await trainer.train(
    SLOT,
    { ...from, parameters },
    { step: () => {}, keep: async (state) => keep(structuredClone(state)) },
    signal,
  );
  return { parameters, trained };
}

for (const withMoments of [true, false])
  test(`a round goes on from every state that was kept ${withMoments ? "of it" : "of one that began without moments"}, to the same bits`, async (t) => {
    const trainer = await open(t, 0);
    const moments = { step: 5, firstMoment: weights(), secondMoment: weights().map((value) => value ** 2) };
    const kept: RoundState[] = [];
    const start = withMoments ? { moments: structuredClone(moments) } : {};
    const whole = await train(trainer, start, (state) => kept.push(state));
    const steps = kept.map(({ progress }) => progress.steps);
    assert.ok(kept.length > 2 && steps.at(-1)! < STEPS, `states are kept after ${steps.join()} steps`);
    // In one piece, which is how it is without any keeping.
    const piece = await train(
      await open(t, 3_600_000),
      withMoments ? { moments: structuredClone(moments) } : {},
    );
    for (const state of [undefined, ...kept.filter((_, index) => index % 3 === 0)]) {
      const { parameters, trained } = state === undefined ? piece : await train(trainer, state);
      assert.deepEqual(parameters, whole.parameters);
      assert.deepEqual(trained.moments, whole.trained.moments);
      assert.ok(Math.abs(trained.loss - whole.trained.loss) < 1e-6);
      assert.equal(trained.steps, STEPS);
    }
  });

for (const last of [7, STEPS])
  test(`who is told to end at step ${last} keeps what is done, and goes on to the same bits`, async (t) => {
    const trainer = await open(t, 3_600_000);
    const whole = await train(trainer, {});
    const stop = new AbortController();
    const kept: RoundState[] = [];
    const parameters = weights();
    await assert.rejects(
      trainer.train(
        SLOT,
        { parameters },
        {
          step: ({ step }) => step === last && stop.abort(new Error("the peer stops")),
          keep: async (state) => void kept.push(structuredClone(state)),
        },
        stop.signal,
      ),
      /the peer stops/,
    );
    assert.equal(kept.length, 1);
    const { steps } = kept[0]!.progress;
    assert.ok(steps >= last && steps <= last + 1, `${steps}`);
    assert.deepEqual((await train(trainer, kept[0]!)).parameters, whole.parameters);
  });
