/** Scores whole paths on held-out text, for runs that try contributions on it (docs/security.md). */
import { evaluationBatches } from "../data/evaluation.ts";
import type { EvaluationBatch, TokenizedShard } from "../data/types.ts";
import { createEngine } from "../engine/engine.ts";
import type { Engine } from "../engine/types.ts";
import { UnavailableError } from "../errors.ts";
import type { ModelShape } from "../model/types.ts";
import type { HoldoutScorer } from "../swarm/types.ts";

export interface HoldoutScorerInit {
  shape: ModelShape;
  /** Sequences that are scored. */
  sequences: number;
  prefixTokens: number;
  /** The holdout of a path, or held-out documents of the whole run if the path's own are too short. */
  holdout(path: number): Promise<TokenizedShard>;
  validation(): Promise<TokenizedShard>;
}

/**
 * The first sequences of a path's holdout, or else of the validation documents. The engine is tfjs's `cpu` backend,
 * which is plain JavaScript: f32 storage, f64 arithmetic in one order, no threads, no vector units. So the loss of the
 * same weights has the same bits on every machine, and every peer decides alike. It is slow (some 0.5 GFLOP/s),
 * which a few sequences can afford. It starts when it is first needed.
 */
export function createHoldoutScorer(init: HoldoutScorerInit): HoldoutScorer {
  const { shape, sequences } = init;
  let engine: Promise<Engine> | undefined;
  let closed = false;
  const batches = new Map<number, Promise<EvaluationBatch>>();

  function batchOf(path: number): Promise<EvaluationBatch> {
    const known = batches.get(path);
    if (known !== undefined) return known;
    const making = makeBatch(path);
    making.catch(() => batches.delete(path));
    batches.set(path, making);
    return making;
  }

  async function makeBatch(path: number): Promise<EvaluationBatch> {
    for (const open of [() => init.holdout(path), init.validation]) {
      const shard = await open();
      const options = {
        sequenceLength: shape.sequenceLength,
        endOfText: shard.endOfText,
        prefixTokens: init.prefixTokens,
        batchSize: sequences,
      };
      const { value } = evaluationBatches(documentsOf(shard), options).next();
      if (value !== undefined) return value;
    }
    throw new UnavailableError("The run has no held-out document that is longer than the routing prefix.");
  }

  return {
    async score(path, parameters, signal) {
      signal.throwIfAborted();
      const batch = await batchOf(path);
      signal.throwIfAborted();
      if (closed) throw new UnavailableError("The peer stops.");
      engine ??= createEngine({ shape, batchSize: sequences, kind: "eager", device: "cpu" });
      const losses = await (await engine).score(parameters, batch);
      const tokens = batch.mask.reduce((sum, weight) => sum + weight, 0);
      return losses.reduce((sum, loss) => sum + loss, 0) / tokens;
    },
    async close() {
      closed = true;
      await (await engine)?.close();
    },
  };
}

function* documentsOf(shard: TokenizedShard): Generator<Int32Array> {
  for (let index = 0; index < shard.documents; index++) yield shard.document(index);
}
