/** Which executor computes: the one that was chosen, or the fastest that this machine has. */
import { messageOf } from "../errors.ts";
import { createEagerExecutor } from "./eager.ts";
import type { Executor } from "./executor.ts";
import type { EngineConfig } from "./types.ts";

export interface ChosenExecutor {
  executor: Executor;
  /** E.g. `compiled-cpu`. */
  name: string;
  /** What the user should know, where it is not the one that was chosen. */
  notice: string | undefined;
}

/** Backends that stand in for the compiled CPU engine, the fastest first; the last is always there. */
const STAND_INS = ["tensorflow", "wasm", "cpu"];

/**
 * Creates the executor that the configuration names. Where ONNX Runtime cannot be loaded (it has no build for Intel
 * Macs, musl and some processors) an eager one stands in for it, unless a GPU was asked for.
 * Throws CapacityError when the device or its package is missing.
 */
export async function chooseExecutor(config: EngineConfig, threads: number): Promise<ChosenExecutor> {
  const { kind, device } = config;
  const name = `${kind}-${device}`;
  if (kind === "eager") return { executor: await createEagerExecutor(config), name, notice: undefined };
  const problem = await runtimeProblem();
  if (problem === undefined || device !== "cpu") {
    const { createCompiledExecutor } = await import("./compiled.ts");
    return { executor: await createCompiledExecutor(config, threads), name, notice: undefined };
  }
  const [standIn, executor] = await firstOf(STAND_INS, config);
  const notice =
    `ONNX Runtime, which the compiled engine needs, cannot be loaded on this machine (${process.platform} ${process.arch}): ${problem} ` +
    `The eager engine on ${standIn} computes instead, many times slower` +
    (standIn === "tensorflow"
      ? "."
      : "; use another machine if there is one, or try npm install @tensorflow/tfjs-node.");
  return { executor, name: `eager-${standIn}`, notice };
}

/** Why ONNX Runtime cannot be loaded; undefined when it can. */
async function runtimeProblem(): Promise<string | undefined> {
  try {
    await import("onnxruntime-node");
    return undefined;
  } catch (error) {
    const [firstLine] = error instanceof Error ? error.message.split("\n") : [String(error)];
    return messageOf(firstLine).replace(/\.?$/, ".");
  }
}

async function firstOf(devices: string[], config: EngineConfig): Promise<[device: string, Executor]> {
  const [device, ...others] = devices as [string, ...string[]];
  try {
    return [device, await createEagerExecutor({ ...config, kind: "eager", device })];
  } catch (error) {
    if (others.length === 0) throw error;
    return firstOf(others, config);
  }
}
