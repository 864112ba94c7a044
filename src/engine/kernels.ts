/** What each tfjs kernel records: the ONNX operators (opset 18, and ONNX Runtime's own) of the trace. */
import * as tf from "@tensorflow/tfjs-core";
import { TRACE_BACKEND, tracer } from "./trace.ts";

type Inputs = Record<string, tf.TensorInfo>;
type Kernel = (inputs: Inputs, attributes: Record<string, unknown>) => tf.TensorInfo | tf.TensorInfo[];

function define(kernelName: string, kernel: Kernel): void {
  tf.registerKernel({
    kernelName,
    backendName: TRACE_BACKEND,
    kernelFunc: ({ inputs, attrs }) => kernel(inputs as Inputs, attrs ?? {}),
  });
}

const nameOf = (tensor: tf.TensorInfo | undefined): string => tracer.origin(tensor!).name;

const BINARY = {
  Add: "Add",
  Sub: "Sub",
  Multiply: "Mul",
  RealDiv: "Div",
  Maximum: "Max",
  Minimum: "Min",
};
for (const [kernel, operator] of Object.entries(BINARY))
  define(kernel, ({ a, b }) => {
    const shape = tf.broadcast_util.assertAndGetBroadcastShape(a!.shape, b!.shape);
    return tracer.record(operator, [nameOf(a), nameOf(b)], shape, a!.dtype);
  });

for (const operator of ["Neg", "Exp", "Log", "Sqrt", "Sigmoid"])
  define(operator, ({ x }) => tracer.record(operator, [nameOf(x)], x!.shape));

define("Identity", ({ x }) => {
  const { name, operator, inputs } = tracer.origin(x!);
  return tracer.tensor(name, x!.shape, x!.dtype, operator, inputs);
});
define("Square", ({ x }) => tracer.record("Mul", [nameOf(x), nameOf(x)], x!.shape));
define("Rsqrt", ({ x }) => tracer.record("Reciprocal", [tracer.graph.node("Sqrt", [nameOf(x)])], x!.shape));

define("Reshape", ({ x }, { shape }) => {
  const target = tf.util.inferFromImplicitShape(shape as number[], tf.util.sizeFromShape(x!.shape));
  return tracer.record("Reshape", [nameOf(x), tracer.graph.integers(target)], target, x!.dtype);
});
define("Transpose", ({ x }, { perm }) => {
  const order = perm as number[];
  const shape = order.map((axis) => x!.shape[axis]!);
  return tracer.record("Transpose", [nameOf(x)], shape, x!.dtype, { perm: order });
});
define("Slice", ({ x }, { begin, size }) => {
  const starts = begin as number[];
  const ends = (size as number[]).map((length, axis) =>
    length < 0 ? x!.shape[axis]! : starts[axis]! + length,
  );
  const shape = ends.map((end, axis) => end - starts[axis]!);
  const { graph } = tracer;
  return tracer.record("Slice", [nameOf(x), graph.integers(starts), graph.integers(ends)], shape, x!.dtype);
});
define("Concat", (inputs, { axis }) => {
  const tensors = Object.values(inputs);
  const [along] = tf.util.parseAxisParam(axis as number, tensors[0]!.shape);
  const shape = [...tensors[0]!.shape];
  shape[along!] = tensors.reduce((sum, tensor) => sum + tensor.shape[along!]!, 0);
  return tracer.record("Concat", tensors.map(nameOf), shape, tensors[0]!.dtype, { axis: along! });
});
define("Pack", (inputs, { axis }) => {
  const tensors = Object.values(inputs);
  const shape = [...tensors[0]!.shape];
  shape.splice(axis as number, 0, 1);
  const target = tracer.graph.integers(shape);
  const parts = tensors.map((tensor) => tracer.graph.node("Reshape", [nameOf(tensor), target]));
  shape[axis as number] = tensors.length;
  return tracer.record("Concat", parts, shape, tensors[0]!.dtype, { axis: axis as number });
});
define("SplitV", ({ x }, { numOrSizeSplits, axis }) => {
  const [along] = tf.util.parseAxisParam(axis as number, x!.shape);
  const sizes = tf.backend_util.prepareSplitSize(x as tf.Tensor, numOrSizeSplits as number | number[], along);
  const names = sizes.map(() => tracer.graph.name());
  tracer.graph.nodeOf("Split", [nameOf(x), tracer.graph.integers(sizes)], names, { axis: along! });
  return sizes.map((size, i) => {
    const shape = [...x!.shape];
    shape[along!] = size;
    return tracer.tensor(names[i]!, shape, x!.dtype);
  });
});

function reduce(operator: string, x: tf.TensorInfo, axis: unknown, keepDims: unknown): tf.TensorInfo {
  const axes = tf.util.parseAxisParam(axis as number | number[], x.shape);
  const [reduced] = tf.backend_util.computeOutAndReduceShapes(x.shape, axes);
  const shape = keepDims === true ? tf.backend_util.expandShapeToKeepDim(reduced, axes) : reduced;
  const inputs = [nameOf(x), tracer.graph.integers(axes)];
  return tracer.record(operator, inputs, shape, x.dtype, { keepdims: keepDims === true ? 1 : 0 });
}
define("Sum", ({ x }, { axis, keepDims }) => reduce("ReduceSum", x!, axis, keepDims));
define("Mean", ({ x }, { axis, keepDims }) => reduce("ReduceMean", x!, axis, keepDims));
define("Max", ({ x }, { reductionIndices, keepDims }) => reduce("ReduceMax", x!, reductionIndices, keepDims));

define("Softmax", ({ logits }, { dim }) =>
  tracer.record("Softmax", [nameOf(logits)], logits!.shape, "float32", { axis: dim as number }),
);
define("BatchMatMul", ({ a, b }, { transposeA, transposeB }) => {
  const rows = a!.shape.at(transposeA === true ? -1 : -2)!;
  const columns = b!.shape.at(transposeB === true ? -2 : -1)!;
  const batch = tf.broadcast_util.assertAndGetBroadcastShape(a!.shape.slice(0, -2), b!.shape.slice(0, -2));
  return tracer.record("FusedMatMul", [nameOf(a), nameOf(b)], [...batch, rows, columns], "float32", {
    transA: transposeA === true ? 1 : 0,
    transB: transposeB === true ? 1 : 0,
    alpha: { float: 1 },
  });
});

// ONNX Runtime's own operator, which `src/model/layers.ts` asks for by this name: x (B, H, T, D).
define("RotaryEmbedding", ({ x, cosine, sine }) => {
  const inputs = [nameOf(x), tracer.graph.integers([0]), nameOf(cosine), nameOf(sine)];
  return tracer.record("RotaryEmbedding", inputs, x!.shape);
});

define("GatherV2", ({ x, indices }) =>
  tracer.record("Gather", [nameOf(x), nameOf(indices)], [...indices!.shape, ...x!.shape.slice(1)], x!.dtype, {
    axis: 0,
  }),
);
// Not ScatterND: ONNX Runtime adds its rows from several threads at once and loses some where an index repeats.
define("ScatterNd", ({ indices, updates }, { shape }) => {
  const { graph } = tracer;
  const size = shape as number[];
  if (size.length !== 2 || indices!.shape[1] !== 1)
    throw new Error("Only rows of a matrix can be scattered.");
  const zeros = graph.node("Expand", [graph.float(0), graph.integers(size)]);
  const wide = graph.node("Expand", [nameOf(indices), graph.integers(updates!.shape)]);
  const inputs = [zeros, wide, nameOf(updates)];
  return tracer.record("ScatterElements", inputs, size, "float32", { axis: 0, reduction: "add" });
});
define("Fill", (_, { shape, value, dtype }) => {
  const size = shape as number[];
  const values = new Float32Array(tf.util.sizeFromShape(size)).fill(value as number);
  const type = (dtype as tf.DataType | undefined) ?? "float32";
  return tracer.tensor(tracer.constant(values, size, type), size, type);
});
