/**
 * The configuration of a run: what its YAML file says, with every default filled in. It is part of
 * the manifest, so all peers of a run share it. Checks that need more than one key are in `src/run`.
 */
import { z } from "zod";
import { methodSchema } from "./method.ts";

const positive = z.int().min(1);
const fraction = z.number().gt(0).lt(1);

const modelSchema = z.strictObject({
  /** Entries of the tokenizer. */
  vocabulary: positive.max(1_000_000).default(2048),
  /** Tokens of a training sequence. */
  sequenceLength: positive.min(2).max(65_536).default(128),
  /** Width d of the residual stream. */
  width: positive.max(65_536).default(128),
  blocks: positive.max(1024).default(4),
  heads: positive.max(1024).default(4),
  /** Width of the SwiGLU hidden layer; 8/3 of the model width, rounded up to a multiple of 32, when absent. */
  hidden: positive.max(262_144).optional(),
  ropeTheta: z.number().positive().default(10_000),
  normEpsilon: z.number().positive().default(1e-5),
});

const levelSchema = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, "use lower-case letters, digits and hyphens"),
  /** `embedding`, `blocks 0-3` (inclusive) or `head`; consecutive. */
  parts: z.array(z.string()).min(1),
  /** A grid axis (0, 1, …), `shared` (one module) or `path` (one module per path). */
  choose: z.union([z.int().min(0), z.literal("shared"), z.literal("path")]),
});

const trainingSchema = z.strictObject({
  /** Rounds of every path, T. */
  rounds: positive.max(1_000_000).default(8),
  /** AdamW steps of a round, H (the paper's τ). */
  innerSteps: positive.max(100_000).default(25),
  /** Sequences of a step. */
  batchSize: positive.max(65_536).default(16),
  /** Dense warm-start steps at `create`; their weights become the genesis versions. */
  seedSteps: positive.max(1_000_000).default(150),
  /** AdamW's peak; `defaultLearningRate` of the width when absent. */
  learningRate: z.number().positive().optional(),
  /** The cosine ends at this share of the learning rate. */
  finalLearningRate: z.number().min(0).max(1).default(0.1),
  warmupSteps: z.int().min(0).default(20),
  beta1: z.number().min(0).lt(1).default(0.9),
  beta2: z.number().min(0).lt(1).default(0.95),
  epsilon: z.number().positive().default(1e-8),
  /** Not applied to norms and embeddings. */
  weightDecay: z.number().min(0).default(0.1),
  /** Global gradient norm at which gradients are clipped. */
  clipNorm: z.number().positive().default(1),
  /** Whether the routing prefix is left out of the training loss as it is out of every evaluation. */
  maskPrefix: z.boolean().default(true),
});

const holdoutSchema = z.strictObject({
  /** Nats per token by which a contribution may raise the loss on the held-out text of its path. */
  tolerance: z.number().positive().default(0.1),
  /** Sequences of that text that are scored. */
  sequences: positive.max(256).default(8),
});

const outerSchema = z.strictObject({
  /** How a module moves by its averaged outer gradients. */
  optimizer: methodSchema.default("nesterov"),
  /** Numbers of that optimizer's own; its defaults where absent. */
  options: z.record(z.string().max(32), z.number()).optional(),
  learningRate: z.number().positive().default(0.7),
  momentum: z.number().min(0).lt(1).default(0.9),
  /** `sqrt` multiplies the averaged outer gradient by √(1/Σβ²), β a path's share (paper section 2.7); `none` does not. */
  rescale: z.enum(["sqrt", "none"]).default("sqrt"),
  /** Whether shares follow shard sizes (paper eq. 2–3) or are equal. */
  reweigh: z.boolean().default(true),
  /** How contributions are written. */
  codec: methodSchema.default("bf16"),
  /** L2 norm at which one contribution is clipped; null does not clip. */
  clipNorm: z.number().positive().nullable().default(null),
  /** Multiple of the median norm of a fold's contributions at which one is clipped; none when absent. */
  clipMedian: z.number().min(1).optional(),
  /** How contributions are averaged; `none`, the weighted mean, when absent. */
  robust: z.enum(["none", "trimmed-mean", "centred-clipping"]).optional(),
  /** Tries contributions to modules with too few for an average to help on held-out text; not when absent. */
  holdout: holdoutSchema.optional(),
  /** Generations after which a contribution is too old to fold. */
  maxStaleness: z.int().min(0).max(64).default(4),
  /** Share of the expected contributions with which a generation may close after the grace time. */
  quorum: z.number().gt(0).max(1).default(0.5),
});

const swarmSchema = z.strictObject({
  heartbeatSeconds: z.number().positive().default(2),
  leaseSeconds: z.number().positive().default(20),
  /** Time between announcing a lease and starting, in which conflicts settle. */
  settleSeconds: z.number().min(0).default(1),
  /** How long a round waits for a newer head, and a generation for missing contributions. */
  graceSeconds: z.number().min(0).default(60),
  antiEntropySeconds: z.number().positive().default(5),
  /** Peers with the duty to publish a module's next version, in order. */
  owners: positive.max(16).default(2),
  /** Versions of a module whose tensors are kept; small records are always kept. */
  retainGenerations: positive.default(4),
  /** `all` folds every version again before it is built on, `sample` one in four, `none` trusts announcements. */
  verify: z.enum(["none", "sample", "all"]).default("all"),
});

const routingSchema = z.strictObject({
  method: methodSchema.default("kmeans"),
  /** Tokens at a document's start that route it and that no evaluation scores. */
  prefixTokens: positive.default(32),
});

const dataSchema = z.strictObject({
  validationFraction: fraction.default(0.05),
  /** Documents that fit the router (paper: 0.005 of the corpus). */
  routerFraction: fraction.default(0.02),
  /** Per-path early-stopping holdout, as a share of the path's shard. */
  holdoutFraction: fraction.default(0.02),
});

export const peerIdSchema = z
  .string()
  .regex(
    /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/,
    "expected peer ids such as 12D3KooW…, as pathweave id prints them",
  );

/** Absent in an open run, and so that the manifests of open runs have the bytes they always had. */
const admissionSchema = z.strictObject({
  /** The only peers that take part; everybody may when absent. */
  peers: z.array(peerIdSchema).min(1).max(4096).optional(),
});

/** The keys of a configuration. Some may be absent and then follow from others, as `runConfigSchema` says. */
export const runKeysSchema = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "use letters, digits, dots, hyphens"),
  seed: z.int().min(0).max(0xffff_ffff).default(0),
  /** Modules to choose from on each axis; P = ∏K. */
  grid: z.array(positive.max(4096)).min(1).max(8),
  levels: z.array(levelSchema).min(1).max(64),
  /** Data-parallel copies of each path. */
  replicas: positive.max(256).default(1),
  model: modelSchema.prefault({}),
  training: trainingSchema.prefault({}),
  outer: outerSchema.prefault({}),
  swarm: swarmSchema.prefault({}),
  routing: routingSchema.prefault({}),
  data: dataSchema.prefault({}),
  admission: admissionSchema.optional(),
});

export const runConfigSchema = runKeysSchema.transform(({ training, ...keys }) => {
  const learningRate = training.learningRate ?? defaultLearningRate(keys.model.width);
  return { ...keys, training: { ...training, learningRate } };
});

export type RunConfig = z.infer<typeof runConfigSchema>;
export type ModelConfig = z.infer<typeof modelSchema>;
export type LevelConfig = z.infer<typeof levelSchema>;
export type TrainingConfig = RunConfig["training"];
export type HoldoutConfig = z.infer<typeof holdoutSchema>;
export type OuterConfig = z.infer<typeof outerSchema>;

/** Whether a peer may take part in the run. */
export function isAdmitted({ admission }: Pick<RunConfig, "admission">, peer: string): boolean {
  return admission?.peers?.includes(peer) ?? true;
}

/** Width of the SwiGLU hidden layer: as given, or 8/3 of the model width, rounded up to a multiple of 32. */
export function hiddenWidth(model: Pick<ModelConfig, "width" | "hidden">): number {
  return model.hidden ?? Math.ceil((model.width * 8) / 3 / 32) * 32;
}

/** Width of the paper's paths of 150 M parameters, and the learning rate that it trains them with (table 4). */
export const PAPER = { width: 896, learningRate: 4e-4 } as const;

/** The learning rate that suits a width. */
function defaultLearningRate(width: number): number {
  return Number(((PAPER.learningRate * PAPER.width) / width).toPrecision(2));
}
