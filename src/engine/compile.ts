/** Traces the network once per purpose and lowers each trace to one ONNX model. */
import type * as tf from "@tensorflow/tfjs-core";
import type { OptimizerState } from "../model/optimizers/types.ts";
import { elementsOfPath, parameterSpecs } from "../model/parameters.ts";
import { createNetwork, type Network } from "../model/transformer.ts";
import type { ModelShape, ParameterSpec } from "../model/types.ts";
import { GraphBuilder } from "./graph.ts";
import "./kernels.ts";
import { encodeModel } from "./onnx.ts";
import { OPTIMIZER, trainStep } from "./step.ts";
import { traceInto, type TracedInput } from "./trace.ts";

/** Cuts a flat vector into one value per parameter. */
function unpack(graph: GraphBuilder, flat: string, specs: ParameterSpec[]): string[] {
  return specs.map(({ shape, offset, size }) => {
    const range = [graph.integers([offset]), graph.integers([offset + size])];
    return graph.node("Reshape", [graph.node("Slice", [flat, ...range]), graph.integers(shape)]);
  });
}

/** The reverse of `unpack`: the flat vector `name`. */
function pack(graph: GraphBuilder, values: string[], name: string): string {
  const flat = values.map((value) => graph.node("Reshape", [value, graph.integers([-1])]));
  graph.nodeOf("Concat", flat, [name], { axis: 0 });
  return name;
}

/**
 * k training steps as one ONNX Loop, so that the state stays on the device between them.
 * Inputs: `steps` (k, int64 scalar), the flat state vectors, `tokens` (k, B, T + 1), `mask` (k, B, T) and
 * `scalars` (k, scalarCount). Outputs: the new state vectors, `loss` (k) and `gradientNorm` (k).
 */
export function compileTraining(shape: ModelShape, batchSize: number): Uint8Array {
  const specs = parameterSpecs(shape);
  const elements = elementsOfPath(shape);
  const { stateNames, scalarCount } = OPTIMIZER;
  const { sequenceLength } = shape;
  const perStep: TracedInput[] = [
    { name: "tokens", shape: [batchSize, sequenceLength + 1], type: "int32" },
    { name: "mask", shape: [batchSize, sequenceLength], type: "float32" },
    { name: "scalars", shape: [scalarCount], type: "float32" },
  ];

  // The body: one step. Values named by its inputs; `all …` are captured from the graph around it.
  const body = new GraphBuilder("step ");
  const iteration = body.input("iteration", "int64", []);
  const goOn = body.input("go on", "bool", []);
  const rows = perStep.map(({ name }) => body.node("Gather", [name, iteration], { axis: 0 }));
  const carried: TracedInput[] = stateNames.flatMap((part) =>
    specs.map((spec) => ({ name: `${part} ${spec.name}`, shape: spec.shape, type: "float32" })),
  );
  for (const { name, shape: dimensions, type } of carried) body.input(name, type, dimensions);
  const traced = traceInto(
    body,
    [...carried, ...perStep.map((input, i) => ({ ...input, name: rows[i]! }))],
    (tensors) => {
      const state = Object.fromEntries(
        stateNames.map((name, i) => [name, tensors.slice(i * specs.length, (i + 1) * specs.length)]),
      ) as OptimizerState;
      const [tokens, mask, scalars] = tensors.slice(carried.length) as [tf.Tensor, tf.Tensor, tf.Tensor1D];
      const result = trainStep(createNetwork(shape), specs, state, tokens, mask, scalars);
      return [...stateNames.flatMap((part) => result.state[part]!), result.loss, result.gradientNorm];
    },
  );
  body.output(body.node("Identity", [goOn]), "bool", []);
  for (const { name, shape: dimensions } of traced) body.output(name, "float32", dimensions);

  const graph = new GraphBuilder("outer ");
  const steps = graph.input("steps", "int64", []);
  for (const { name, type, shape: dimensions } of perStep) graph.input(name, type, ["steps", ...dimensions]);
  const initial = stateNames.flatMap((part) =>
    unpack(graph, graph.input(part, "float32", [elements]), specs),
  );
  const always = graph.constant("bool", [], Uint8Array.of(1));
  const final = carried.map(() => graph.name());
  const records = ["loss", "gradientNorm"];
  graph.nodeOf("Loop", [steps, always, ...initial], [...final, ...records], { body: body.finish() });
  for (const [i, part] of stateNames.entries()) {
    const values = final.slice(i * specs.length, (i + 1) * specs.length);
    graph.output(pack(graph, values, `next ${part}`), "float32", [elements]);
  }
  for (const name of records) graph.output(name, "float32", ["steps"]);
  return encodeModel(graph.finish());
}

/** A forward-only graph: flat `parameters` and named inputs to one output `result`. */
function compileForward(
  shape: ModelShape,
  inputs: TracedInput[],
  forward: (network: Network, parameters: tf.Tensor[], inputs: tf.Tensor[]) => tf.Tensor,
): Uint8Array {
  const specs = parameterSpecs(shape);
  const graph = new GraphBuilder("forward ");
  const weights = unpack(graph, graph.input("parameters", "float32", [elementsOfPath(shape)]), specs);
  for (const { name, type, shape: dimensions } of inputs) graph.input(name, type, dimensions);
  const [result] = traceInto(
    graph,
    [
      ...specs.map((spec, i) => ({ name: weights[i]!, shape: spec.shape, type: "float32" as const })),
      ...inputs,
    ],
    (tensors) => [forward(createNetwork(shape), tensors.slice(0, specs.length), tensors.slice(specs.length))],
  );
  graph.nodeOf("Identity", [result!.name], ["result"]);
  graph.output("result", "float32", result!.shape);
  return encodeModel(graph.finish());
}

/** The forward-only functions of an engine, by name. */
export type ForwardName = "score" | "logits" | "features";

/** The two inputs of each forward-only function beside the parameters. */
export function forwardInputs(
  name: ForwardName,
  shape: ModelShape,
  batchSize: number,
): [TracedInput, TracedInput] {
  const { sequenceLength: length } = shape;
  const tokens = (columns: number): TracedInput => ({
    name: "tokens",
    shape: [batchSize, columns],
    type: "int32",
  });
  switch (name) {
    case "score":
      return [tokens(length + 1), { name: "mask", shape: [batchSize, length], type: "float32" }];
    case "logits":
      return [tokens(length), { name: "positions", shape: [batchSize], type: "int32" }];
    case "features":
      return [tokens(length), { name: "weights", shape: [batchSize, length], type: "float32" }];
  }
}

/** Compiles `score`, `logits` or `features` for a full batch. */
export function compileForwardOf(name: ForwardName, shape: ModelShape, batchSize: number): Uint8Array {
  const inputs = forwardInputs(name, shape, batchSize);
  return compileForward(shape, inputs, (network, parameters, [tokens, other]) =>
    network[name](parameters, tokens!, other!),
  );
}
