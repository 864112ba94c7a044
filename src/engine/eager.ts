/** The executor that runs the network operation by operation on an installed tfjs backend. */
import * as tf from "@tensorflow/tfjs-core";
import type { OptimizerState } from "../model/optimizers/types.ts";
import { parameterSpecs } from "../model/parameters.ts";
import { createNetwork, type Network } from "../model/transformer.ts";
import { selectBackend } from "./backends.ts";
import type { DeviceState, Executor, Training } from "./executor.ts";
import { OPTIMIZER, trainStep } from "./step.ts";
import type { EngineConfig } from "./types.ts";

/** Creates the executor. Throws CapacityError when the tfjs backend is not installed. */
export async function createEagerExecutor(config: EngineConfig): Promise<Executor> {
  const { shape, batchSize, device } = config;
  await selectBackend(device);
  const specs = parameterSpecs(shape);
  const network = createNetwork(shape);
  const columns = shape.sequenceLength;

  const unpack = (flat: Float32Array): tf.Tensor[] =>
    specs.map((spec) => tf.tensor(flat.slice(spec.offset, spec.offset + spec.size), spec.shape));
  const pack = async (tensors: tf.Tensor[]): Promise<Float32Array> => {
    const flat = new Float32Array(tensors.reduce((sum, { size }) => sum + size, 0));
    for (const [i, tensor] of tensors.entries()) flat.set(await tensor.data<"float32">(), specs[i]!.offset);
    return flat;
  };
  const integers = (values: Int32Array, dimensions: number[]): tf.Tensor =>
    tf.tensor(values, dimensions, "int32");

  const forward = async (compute: () => tf.Tensor): Promise<Float32Array> => {
    const result = tf.tidy(compute);
    const values = await result.data<"float32">();
    result.dispose();
    return values;
  };
  const withParameters = (
    flat: Float32Array,
    compute: (network: Network, parameters: tf.Tensor[]) => tf.Tensor,
  ): Promise<Float32Array> => forward(() => compute(network, unpack(flat)));

  return {
    async openTraining(initial): Promise<Training> {
      const { stateNames, scalarCount } = OPTIMIZER;
      let state = Object.fromEntries(
        stateNames.map((name) => [name, unpack(initial[name]!)]),
      ) as OptimizerState;
      const tensorsOf = (of: OptimizerState): tf.Tensor[] => Object.values(of).flat();
      return {
        async run({ count, tokens, mask, scalars }) {
          const losses = new Float32Array(count);
          const gradientNorms = new Float32Array(count);
          const row = <T extends Float32Array | Int32Array>(values: T, i: number): T =>
            values.slice((i * values.length) / count, ((i + 1) * values.length) / count) as T;
          for (let i = 0; i < count; i++) {
            const {
              loss,
              gradientNorm,
              state: next,
            } = tf.tidy(() => ({
              ...trainStep(
                network,
                specs,
                state,
                integers(row(tokens, i), [batchSize, columns + 1]),
                tf.tensor(row(mask, i), [batchSize, columns]),
                tf.tensor1d(row(scalars, i).subarray(0, scalarCount)),
              ),
            }));
            tf.dispose(tensorsOf(state));
            state = next;
            losses[i] = (await loss.data<"float32">())[0]!;
            gradientNorms[i] = (await gradientNorm.data<"float32">())[0]!;
            tf.dispose([loss, gradientNorm]);
          }
          return { losses, gradientNorms };
        },
        async state() {
          const packed: DeviceState = { parameters: await pack(state.parameters) };
          for (const name of stateNames) packed[name] ??= await pack(state[name]!);
          return packed;
        },
        dispose: () => tf.dispose(tensorsOf(state)),
      };
    },
    score: (flat, tokens, mask) =>
      withParameters(flat, ({ score }, parameters) =>
        score(parameters, integers(tokens, [batchSize, columns + 1]), tf.tensor(mask, [batchSize, columns])),
      ),
    logits: (flat, tokens, positions) =>
      withParameters(flat, ({ logits }, parameters) =>
        logits(parameters, integers(tokens, [batchSize, columns]), integers(positions, [batchSize])),
      ),
    features: (flat, tokens, weights) =>
      withParameters(flat, ({ features }, parameters) =>
        features(
          parameters,
          integers(tokens, [batchSize, columns]),
          tf.tensor(weights, [batchSize, columns]),
        ),
      ),
    async close() {
      network.dispose();
    },
  };
}
