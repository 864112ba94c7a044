/** The executor that traces the network once and runs the compiled graphs on ONNX Runtime. */
import { compileForwardOf, compileTraining, forwardInputs, type ForwardName } from "./compile.ts";
import type { DeviceState, Executor, Training } from "./executor.ts";
import { checkDevice, type DeviceTensor, deviceTensor, loadProgram, type Program } from "./runtime.ts";
import { OPTIMIZER } from "./step.ts";
import type { EngineConfig } from "./types.ts";

/**
 * Creates the executor; each graph is traced and loaded when it is first used.
 * Throws CapacityError when this machine has no such device.
 */
export async function createCompiledExecutor(config: EngineConfig, threads: number): Promise<Executor> {
  const { shape, batchSize, device } = config;
  await checkDevice(device, threads);
  const programs = new Map<string, Promise<Program>>();
  const program = (name: string, compile: () => Uint8Array): Promise<Program> => {
    let loading = programs.get(name);
    if (loading === undefined) {
      loading = loadProgram(compile(), device, threads);
      programs.set(name, loading);
    }
    return loading;
  };
  const training = (): Promise<Program> => program("training", () => compileTraining(shape, batchSize));

  const forward = async (
    name: ForwardName,
    parameters: Float32Array,
    tokens: Int32Array,
    other: Float32Array | Int32Array,
  ): Promise<Float32Array> => {
    const { run } = await program(name, () => compileForwardOf(name, shape, batchSize));
    const [first, second] = forwardInputs(name, shape, batchSize);
    const inputs = {
      parameters: deviceTensor("float32", parameters, [parameters.length]),
      [first.name]: deviceTensor(first.type, tokens, first.shape),
      [second.name]: deviceTensor(second.type, other, second.shape),
    };
    const { result } = await run(inputs, { result: null });
    return result!.data as Float32Array;
  };

  return {
    async openTraining(state): Promise<Training> {
      const { run } = await training();
      const elements = state.parameters.length;
      // Two sets of vectors take turns as input and output of a call, so that calls leave no garbage.
      let current = state;
      let next = Object.fromEntries(
        OPTIMIZER.stateNames.map((name) => [name, new Float32Array(elements)]),
      ) as unknown as DeviceState;
      const tensors = (vectors: DeviceState, prefix = ""): Record<string, DeviceTensor> =>
        Object.fromEntries(
          OPTIMIZER.stateNames.map((name) => [
            prefix + name,
            deviceTensor("float32", vectors[name]!, [elements]),
          ]),
        );
      return {
        async run({ count, tokens, mask, scalars }) {
          const inputs = {
            ...tensors(current),
            steps: deviceTensor("int64", BigInt64Array.of(BigInt(count)), []),
            tokens: deviceTensor("int32", tokens, [count, batchSize, shape.sequenceLength + 1]),
            mask: deviceTensor("float32", mask, [count, batchSize, shape.sequenceLength]),
            scalars: deviceTensor("float32", scalars, [count, OPTIMIZER.scalarCount]),
          };
          const outputs = { ...tensors(next, "next "), loss: null, gradientNorm: null };
          const { loss, gradientNorm } = await run(inputs, outputs);
          [current, next] = [next, current];
          return {
            losses: loss!.data as Float32Array,
            gradientNorms: gradientNorm!.data as Float32Array,
          };
        },
        state: async () => current,
        dispose() {},
      };
    },
    score: (parameters, tokens, mask) => forward("score", parameters, tokens, mask),
    logits: (parameters, tokens, positions) => forward("logits", parameters, tokens, positions),
    features: (parameters, tokens, weights) => forward("features", parameters, tokens, weights),
    async close() {
      const loaded = await Promise.allSettled(programs.values());
      for (const result of loaded) if (result.status === "fulfilled") await result.value.release();
    },
  };
}
