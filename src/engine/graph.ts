/** A recorded computation: what tracing produces and what is lowered to ONNX. */

export type ElementType = "float32" | "int32" | "int64" | "bool";
export type Attribute = number | number[] | string | { float: number } | Graph;

/** A named value with its type; a dimension is a number or the name of one that varies. */
export interface Value {
  name: string;
  type: ElementType;
  shape: (number | string)[];
}

export interface Constant {
  name: string;
  type: ElementType;
  shape: number[];
  bytes: Uint8Array;
}

export interface Node {
  operator: string;
  /** ONNX Runtime's own operators live in `com.microsoft`. */
  domain: string;
  inputs: string[];
  outputs: string[];
  attributes: Record<string, Attribute>;
}

export interface Graph {
  inputs: Value[];
  outputs: Value[];
  constants: Constant[];
  nodes: Node[];
}

const MICROSOFT_OPERATORS = new Set(["FusedMatMul", "QuickGelu", "RotaryEmbedding"]);

/** Collects nodes and constants under fresh names. */
export class GraphBuilder {
  readonly inputs: Value[] = [];
  readonly outputs: Value[] = [];
  readonly nodes: Node[] = [];
  private readonly constants = new Map<string, Constant>();
  private readonly prefix: string;
  private names = 0;

  /** @param prefix of every name, so that a graph and the body of a loop in it do not clash. */
  constructor(prefix = "") {
    this.prefix = prefix;
  }

  name(): string {
    return `${this.prefix}${this.names++}`;
  }

  input(name: string, type: ElementType, shape: (number | string)[]): string {
    this.inputs.push({ name, type, shape });
    return name;
  }

  /** Declares a value that the graph computes as an output. */
  output(name: string, type: ElementType, shape: (number | string)[]): void {
    this.outputs.push({ name, type, shape });
  }

  /** Adds a node with several outputs. */
  nodeOf(
    operator: string,
    inputs: string[],
    outputs: string[],
    attributes: Record<string, Attribute> = {},
  ): void {
    const domain = MICROSOFT_OPERATORS.has(operator) ? "com.microsoft" : "";
    this.nodes.push({ operator, domain, inputs, outputs, attributes });
  }

  /** Adds a node with one output and returns its name. */
  node(operator: string, inputs: string[], attributes: Record<string, Attribute> = {}): string {
    const output = this.name();
    this.nodeOf(operator, inputs, [output], attributes);
    return output;
  }

  constant(type: ElementType, shape: number[], bytes: Uint8Array): string {
    const key = bytes.byteLength <= 64 ? `${type} ${shape.join()} ${bytes.join()}` : this.name();
    const known = this.constants.get(key);
    if (known !== undefined) return known.name;
    const constant = { name: this.name(), type, shape, bytes };
    this.constants.set(key, constant);
    return constant.name;
  }

  float(value: number): string {
    return this.constant("float32", [], bytesOf(Float32Array.of(value)));
  }

  integers(values: number[], shape: number[] = [values.length]): string {
    return this.constant("int64", shape, bytesOf(BigInt64Array.from(values, BigInt)));
  }

  /** The graph, without nodes and constants that no output needs. */
  finish(): Graph {
    const needed = new Set(this.outputs.map(({ name }) => name));
    const nodes = this.nodes.toReversed().filter(({ inputs, outputs, attributes }) => {
      if (!outputs.some((output) => needed.has(output))) return false;
      for (const input of inputs) needed.add(input);
      for (const attribute of Object.values(attributes))
        if (typeof attribute === "object" && "nodes" in attribute)
          for (const { inputs: captured } of attribute.nodes) for (const name of captured) needed.add(name);
      return true;
    });
    return {
      inputs: this.inputs,
      outputs: this.outputs,
      nodes: nodes.toReversed(),
      constants: [...this.constants.values()].filter(({ name }) => needed.has(name)),
    };
  }
}

export function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
