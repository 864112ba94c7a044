/** Creates engines. An engine computes in its own thread, so the event loop that serves peers never stalls. */
import { availableParallelism } from "node:os";
import { DivergedError } from "../errors.ts";
import { OPTIMIZER_SCALARS, optimizerScalars } from "../model/optimizer.ts";
import { elementsOfPath } from "../model/parameters.ts";
import { collectSteps, expectLength, expectRange, padded, rowsOf } from "./inputs.ts";
import { startThread, type Thread } from "./thread.ts";
import type { Batch, Engine, EngineConfig, StepRecord, TrainOptions, TrainState } from "./types.ts";

/** Without `stepsPerCall`, a call of the runtime takes about this long, so that an abort is soon heard. */
const CALL_MILLISECONDS = 1000;
const MAX_STEPS_PER_CALL = 64;

/** What computes unless something else is chosen. */
export const DEFAULT_DEVICE = { kind: "compiled", device: "cpu" } as const;

/**
 * Starts an engine. Its graphs are compiled when they are first used. Where ONNX Runtime cannot be loaded, an eager
 * engine stands in for the compiled one on the CPU, with a warning of the process.
 * Throws CapacityError when the device or its package is missing.
 */
export async function createEngine(config: EngineConfig): Promise<Engine> {
  const threads = config.threads ?? availableParallelism();
  const thread = startThread({ config, threads });
  let name: string;
  try {
    const started = await thread.call("start", {});
    name = started.name;
    if (started.notice !== undefined) warnOnce(started.notice);
  } catch (error) {
    await thread.close().catch(() => {});
    throw error;
  }
  return new ThreadEngine(name, config, thread);
}

const warned = new Set<string>();

/** Says something that everybody who starts an engine should know, once. */
function warnOnce(notice: string): void {
  if (warned.has(notice)) return;
  warned.add(notice);
  process.emitWarning(notice, "PathweaveWarning");
}

class ThreadEngine implements Engine {
  readonly name: string;
  private readonly config: EngineConfig;
  private readonly thread: Thread;
  private readonly elements: number;
  private trainings = 0;

  constructor(name: string, config: EngineConfig, thread: Thread) {
    this.name = name;
    this.config = config;
    this.thread = thread;
    this.elements = elementsOfPath(config.shape);
  }

  async *train(
    state: TrainState,
    batches: Iterable<Batch> | AsyncIterable<Batch>,
    options: TrainOptions,
  ): AsyncGenerator<StepRecord, void, undefined> {
    const { batchSize, shape } = this.config;
    const { steps, firstStep, learningRate, signal } = options;
    signal?.throwIfAborted();
    for (const vector of [state.parameters, state.firstMoment, state.secondMoment])
      expectLength("the training state", vector, this.elements);
    const training = this.trainings++;
    const source = iterate(batches);
    // The state is copied into the thread: if anything fails, the caller's is as it was.
    const { step: initialStep, ...vectors } = state;
    await this.thread.call("begin", { training, state: vectors });
    let done = 0;
    let millisecondsPerStep = CALL_MILLISECONDS;
    let failed = false;
    try {
      while (done < steps) {
        signal?.throwIfAborted();
        const count = Math.min(steps - done, this.stepsPerCall(millisecondsPerStep));
        const rates = Array.from({ length: count }, (_, i) => learningRate(firstStep + done + i));
        const request = await collectSteps(source, count, this.config);
        for (const [i, rate] of rates.entries()) {
          const scalars = optimizerScalars(options.optimizer, rate, initialStep + done + i + 1);
          request.scalars.set(scalars, i * OPTIMIZER_SCALARS);
        }
        const start = performance.now();
        const { tokens, mask, scalars } = request;
        const transfer = [tokens.buffer, mask.buffer, scalars.buffer] as ArrayBuffer[];
        const result = await this.thread
          .call("run", { training, steps: request }, transfer)
          .catch((error: unknown) => {
            failed = true;
            throw error;
          });
        millisecondsPerStep = (performance.now() - start) / count;
        const bad = result.losses.findIndex(
          (loss, i) => !Number.isFinite(loss) || !Number.isFinite(result.gradientNorms[i]),
        );
        if (bad !== -1) {
          failed = true;
          throw new DivergedError(
            `Training diverged: the loss of step ${firstStep + done + bad} is ${result.losses[bad]} and its gradient norm ${result.gradientNorms[bad]}; lower training.learningRate or training.clipNorm.`,
          );
        }
        const first = done;
        done += count;
        for (let i = 0; i < count; i++)
          yield {
            step: firstStep + first + i,
            loss: result.losses[i]!,
            learningRate: rates[i]!,
            gradientNorm: result.gradientNorms[i]!,
            tokens: batchSize * shape.sequenceLength,
            milliseconds: millisecondsPerStep,
          };
      }
    } finally {
      await source.return?.(undefined);
      const final = await this.thread
        .call("end", { training, keep: !failed && done > 0 })
        .catch((error: unknown) => {
          // A dead thread has already been reported by the call that failed.
          if (failed) return null;
          throw error;
        });
      if (final !== null) {
        state.parameters.set(final.parameters);
        state.firstMoment.set(final.firstMoment);
        state.secondMoment.set(final.secondMoment);
        state.step = initialStep + done;
      }
    }
  }

  async score(parameters: Float32Array, { tokens, mask }: Batch): Promise<Float32Array> {
    const { sequenceLength } = this.config.shape;
    return this.forward("score", parameters, tokens, sequenceLength + 1, mask, sequenceLength, 1);
  }

  async logits(parameters: Float32Array, tokens: Int32Array, positions: Int32Array): Promise<Float32Array> {
    const { sequenceLength, vocabulary } = this.config.shape;
    expectRange("Positions", positions, 0, sequenceLength - 1);
    return this.forward("logits", parameters, tokens, sequenceLength, positions, 1, vocabulary);
  }

  async features(parameters: Float32Array, tokens: Int32Array, lengths: Int32Array): Promise<Float32Array> {
    const { sequenceLength, width } = this.config.shape;
    expectRange("Lengths", lengths, 1, sequenceLength);
    const weights = new Float32Array(lengths.length * sequenceLength);
    for (const [row, length] of lengths.entries())
      weights.fill(1 / length, row * sequenceLength, row * sequenceLength + length);
    return this.forward("features", parameters, tokens, sequenceLength, weights, sequenceLength, width);
  }

  async close(): Promise<void> {
    await this.thread.close();
  }

  /** Pads a batch to `batchSize` rows, computes, and returns the rows asked for. */
  private async forward(
    method: "score" | "logits" | "features",
    parameters: Float32Array,
    tokens: Int32Array,
    tokenColumns: number,
    other: Float32Array | Int32Array,
    otherColumns: number,
    resultColumns: number,
  ): Promise<Float32Array> {
    const { batchSize, shape } = this.config;
    const rows = rowsOf(method, tokens, tokenColumns, batchSize);
    expectLength(`the second input of ${method}`, other, rows * otherColumns);
    expectLength("the parameters", parameters, this.elements);
    expectRange("Token ids", tokens, 0, shape.vocabulary - 1);
    const inputs = {
      tokens: padded(tokens, batchSize * tokenColumns),
      other: padded(other, batchSize * otherColumns),
    };
    const transfer = [inputs.tokens.buffer, inputs.other.buffer] as ArrayBuffer[];
    const result = await this.thread.call(method, { parameters, ...inputs }, transfer);
    return result.slice(0, rows * resultColumns);
  }

  private stepsPerCall(millisecondsPerStep: number): number {
    const fitting = Math.floor(CALL_MILLISECONDS / millisecondsPerStep);
    return this.config.stepsPerCall ?? Math.max(1, Math.min(MAX_STEPS_PER_CALL, fitting));
  }
}

function iterate(batches: Iterable<Batch> | AsyncIterable<Batch>): Iterator<Batch> | AsyncIterator<Batch> {
  return Symbol.asyncIterator in batches ? batches[Symbol.asyncIterator]() : batches[Symbol.iterator]();
}
