/** The one place where ONNX Runtime is set up. */
import * as onnxRuntime from "onnxruntime-node";
import { CapacityError, messageOf } from "../errors.ts";
import { packageFile } from "../installation.ts";
import { quoted } from "../invocation.ts";
import { type ElementType, GraphBuilder } from "./graph.ts";
import { encodeModel } from "./onnx.ts";

export type DeviceTensor = onnxRuntime.Tensor;

// What it logs goes to standard error, past our own log; what matters of it is in the errors that it throws.
onnxRuntime.env.logLevel = "fatal";

const INSTALLER = "onnxruntime-node/script/install.js";
const DEVICES = ["cpu", "webgpu", "cuda"];

/** A compiled graph, ready to run. */
export interface Program {
  /** Runs the graph for the named outputs; each is written into the given tensor, or a new one for null. */
  run(
    inputs: Record<string, DeviceTensor>,
    outputs: Record<string, DeviceTensor | null>,
  ): Promise<Record<string, DeviceTensor>>;
  release(): Promise<void>;
}

/**
 * Loads an ONNX model onto a device: `cpu`, `webgpu` or `cuda`.
 * Throws CapacityError when this machine or build has no such device.
 */
export async function loadProgram(model: Uint8Array, device: string, threads: number): Promise<Program> {
  if (!DEVICES.includes(device))
    throw new CapacityError(`There is no compiled device ${device}; choose one of ${DEVICES.join(", ")}.`);
  const options: onnxRuntime.InferenceSession.SessionOptions = {
    executionProviders: device === "cpu" ? ["cpu"] : [device, "cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    graphOptimizationLevel: "all",
    // 4: as above; with a GPU, ONNX Runtime warns of every node that stays on the CPU.
    logSeverityLevel: 4,
    // Idle threads sleep instead of spinning: peers share their cores with other processes.
    extra: { session: { intra_op: { allow_spinning: "0" } } },
  };
  let session: onnxRuntime.InferenceSession;
  try {
    session = await onnxRuntime.InferenceSession.create(model, options);
  } catch (error) {
    if (device === "cpu") throw error;
    const libraries =
      device === "cuda"
        ? ` CUDA needs libraries that no package holds: node ${quoted(packageFile(INSTALLER))} --onnxruntime-node-install=cuda12 downloads them.`
        : "";
    throw new CapacityError(
      `The device ${device} cannot be used here; choose cpu or check its driver.${libraries} ONNX Runtime says: ${reasonOf(error)}`,
    );
  }
  return {
    run: (inputs, outputs) => session.run(inputs, outputs),
    release: () => session.release(),
  };
}

/** Without the place in ONNX Runtime's source and the condition that failed there. */
function reasonOf(error: unknown): string {
  return messageOf(error).replace(/^\S*onnxruntime\S*:\d+ .* was false\. /, "");
}

/** Throws CapacityError unless a small graph can be loaded onto the device. */
export async function checkDevice(device: string, threads: number): Promise<void> {
  const graph = new GraphBuilder();
  graph.input("x", "float32", [1]);
  graph.nodeOf("Neg", ["x"], ["y"]);
  graph.output("y", "float32", [1]);
  const program = await loadProgram(encodeModel(graph.finish()), device, threads);
  await program.release();
}

/** Wraps numbers for a program without copying them. */
export function deviceTensor(
  type: ElementType,
  values: Float32Array | Int32Array | BigInt64Array,
  shape: number[],
): DeviceTensor {
  return new onnxRuntime.Tensor(type, values, shape);
}
