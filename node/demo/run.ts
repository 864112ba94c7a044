/** The run of the demo, and what computes it. */
export const DEMO_DEVICE = { kind: "compiled", device: "cpu" } as const;

/**
 * Learning rates of the dense models. At equal steps it is the best of a sweep on the demo's text; the run below has
 * the best for DiPaCo. At equal tokens it lies between that rate and the best of another implementation on 1300 steps
 * (docs/log.md, 2026-11-30).
 */
export const DENSE_LEARNING_RATE = { equalSteps: 8e-3, equalTokens: 6e-3 } as const;

/** The demo's run, as its YAML file says it. */
export function demoRun(seed: number): object {
  return {
    name: "demo",
    seed,
    grid: [2, 2],
    model: { vocabulary: 1024, sequenceLength: 128, width: 96, blocks: 4, heads: 4 },
    training: {
      rounds: 6,
      innerSteps: 30,
      batchSize: 8,
      seedSteps: 140,
      learningRate: 8e-3,
      warmupSteps: 20,
    },
    // With few rounds a lower momentum wins: the gain of a constant gradient is η/(1 − μ).
    outer: { learningRate: 0.7, momentum: 0.6, codec: "bf16" },
    // Whole texts are held out. Of half as many, the seed would decide whether they are novel or manual.
    data: { validationFraction: 0.1 },
    swarm: {
      heartbeatSeconds: 2,
      leaseSeconds: 10,
      settleSeconds: 0.5,
      graceSeconds: 45,
      antiEntropySeconds: 6,
      owners: 2,
      verify: "all",
    },
  };
}
