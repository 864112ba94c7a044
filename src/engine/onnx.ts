/** Lowers a graph to the bytes of an ONNX model. */
import onnxProto from "onnx-proto";
import type { Attribute, Constant, ElementType, Graph, Value } from "./graph.ts";

const { onnx } = onnxProto;
const { AttributeType } = onnx.AttributeProto;
const { DataType } = onnx.TensorProto;
const TYPES: Record<ElementType, number> = {
  float32: DataType.FLOAT,
  int32: DataType.INT32,
  int64: DataType.INT64,
  bool: DataType.BOOL,
};

function attributeProto(name: string, value: Attribute): onnxProto.onnx.IAttributeProto {
  if (typeof value === "number") return { name, type: AttributeType.INT, i: value };
  if (typeof value === "string") return { name, type: AttributeType.STRING, s: Buffer.from(value) };
  if (Array.isArray(value)) return { name, type: AttributeType.INTS, ints: value };
  if ("float" in value) return { name, type: AttributeType.FLOAT, f: value.float };
  return { name, type: AttributeType.GRAPH, g: graphProto(value, name) };
}

function valueProto({ name, type, shape }: Value): onnxProto.onnx.IValueInfoProto {
  const dim = shape.map((size) => (typeof size === "number" ? { dimValue: size } : { dimParam: size }));
  return { name, type: { tensorType: { elemType: TYPES[type], shape: { dim } } } };
}

function constantProto({ name, type, shape, bytes }: Constant): onnxProto.onnx.ITensorProto {
  return { name, dims: shape, dataType: TYPES[type], rawData: bytes };
}

function graphProto(graph: Graph, name: string): onnxProto.onnx.IGraphProto {
  return {
    name,
    node: graph.nodes.map(({ operator, domain, inputs, outputs, attributes }) => ({
      opType: operator,
      domain,
      input: inputs,
      output: outputs,
      attribute: Object.entries(attributes).map(([key, value]) => attributeProto(key, value)),
    })),
    initializer: graph.constants.map(constantProto),
    input: graph.inputs.map(valueProto),
    output: graph.outputs.map(valueProto),
  };
}

/** The ONNX model (IR 9, opset 18, with ONNX Runtime's operators) of a graph. */
export function encodeModel(graph: Graph): Uint8Array {
  const opsetImport = [
    { domain: "", version: 18 },
    { domain: "com.microsoft", version: 1 },
  ];
  const model = { irVersion: 9, producerName: "pathweave", opsetImport, graph: graphProto(graph, "main") };
  return onnx.ModelProto.encode(onnx.ModelProto.fromObject(model)).finish();
}
