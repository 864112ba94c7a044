/**
 * A tfjs backend whose kernels do not compute but record. Tracing a function once gives its whole
 * computation, gradients included, as a graph (DESIGN section 6).
 */
import * as tf from "@tensorflow/tfjs-core";
import { useBackend } from "./backends.ts";
import { type Attribute, bytesOf, GraphBuilder } from "./graph.ts";

export const TRACE_BACKEND = "pathweave-trace";

/** Where a tensor comes from. */
interface Origin {
  /** Name of the value in the graph. */
  name: string;
  /** Operator and inputs, by which kernels recognise patterns. */
  operator: string;
  inputs: string[];
}

class TraceBackend extends tf.KernelBackend {
  graph = new GraphBuilder();
  private origins = new Map<object, Origin>();

  start(graph: GraphBuilder): void {
    this.graph = graph;
    this.origins = new Map();
  }

  /** Names a tensor that a kernel produced. */
  tensor(
    name: string,
    shape: number[],
    dtype: tf.DataType,
    operator = "",
    inputs: string[] = [],
  ): tf.TensorInfo {
    const dataId = {};
    this.origins.set(dataId, { name, operator, inputs });
    return { dataId, shape, dtype };
  }

  /** Records a node with one output. */
  record(
    operator: string,
    inputs: string[],
    shape: number[],
    dtype: tf.DataType = "float32",
    attributes: Record<string, Attribute> = {},
  ): tf.TensorInfo {
    return this.tensor(this.graph.node(operator, inputs, attributes), shape, dtype, operator, inputs);
  }

  origin({ dataId }: tf.TensorInfo): Origin {
    const origin = this.origins.get(dataId);
    if (origin === undefined) throw new Error("A tensor from outside the trace was used in it.");
    return origin;
  }

  override write(values: tf.BackendValues | null, shape: number[], dtype: tf.DataType): tf.DataId {
    const constant = this.constant(values ?? [], shape, dtype);
    return this.tensor(constant, shape, dtype).dataId;
  }

  constant(values: ArrayLike<unknown>, shape: number[], dtype: tf.DataType): string {
    const size = tf.util.sizeFromShape(shape);
    const numbers = values as ArrayLike<number>;
    if (values.length !== size)
      throw new Error(`A constant of shape [${shape.join()}] has ${values.length} values.`);
    if (dtype === "float32")
      return this.graph.constant("float32", shape, bytesOf(Float32Array.from(numbers)));
    if (dtype === "int32") return this.graph.constant("int32", shape, bytesOf(Int32Array.from(numbers)));
    throw new Error(`Constants of type ${dtype} cannot be traced.`);
  }

  override readSync(): never {
    throw new Error("A traced function read the values of a tensor; it may only use tensor operations.");
  }
  override read(): never {
    return this.readSync();
  }
  override numDataIds(): number {
    return this.origins.size;
  }
  override memory(): { unreliable: boolean } {
    return { unreliable: true };
  }
  override floatPrecision(): 32 {
    return 32;
  }
  override epsilon(): number {
    return 1e-7;
  }
  override timerAvailable(): boolean {
    return false;
  }
  override refCount(): number {
    return 1;
  }
  override incRef(): void {}
  decRef(): void {}
  override disposeData(): boolean {
    return true;
  }
}

/** The backend on which kernels record (`kernels.ts`). */
export const tracer = new TraceBackend();

/** An input of a traced function. */
export interface TracedInput {
  name: string;
  shape: number[];
  type: "float32" | "int32";
}

/** Runs `trace` with a tensor per input while its operations are recorded into `graph`; returns value names. */
export function traceInto(
  graph: GraphBuilder,
  inputs: TracedInput[],
  trace: (inputs: tf.Tensor[]) => tf.Tensor[],
): { name: string; shape: number[] }[] {
  useBackend(TRACE_BACKEND, tracer);
  tracer.start(graph);
  const results: { name: string; shape: number[] }[] = [];
  tf.tidy(() => {
    const tensors = inputs.map(({ name, shape, type }) => {
      const { dataId } = tracer.tensor(name, shape, type);
      return tf.engine().makeTensorFromDataId(dataId, shape, type, tracer);
    });
    for (const output of trace(tensors))
      results.push({ name: tracer.origin(output).name, shape: output.shape });
  });
  return results;
}
