/** The keys of a run file, and how a value that breaks their schema is explained. */
import { z } from "zod";
import { runKeysSchema } from "../objects/config.ts";
import { CODECS } from "../outer/codecs.ts";
import { OUTER_OPTIMIZERS } from "../outer/optimizers.ts";
import { ROUTING_METHODS } from "../routing/methods.ts";
import { nearestName } from "./nearest.ts";
import { keyName, type Problem } from "./problem.ts";

/** The name of a method of a table; `field` says which one is meant without a name. */
function oneOf(table: Readonly<Record<string, unknown>>, field: z.ZodDefault<z.ZodString>) {
  const names = Object.keys(table);
  const name = z.string().regex(new RegExp(`^(${names.join("|")})$`), `expected one of ${names.join(", ")}`);
  return name.default(field.parse(undefined));
}

const { levels } = runKeysSchema.shape;
const outer = runKeysSchema.shape.outer.unwrap();
const routing = runKeysSchema.shape.routing.unwrap();

/** A run file: the configuration, with levels optional, and where the corpus lies. */
export const runFileSchema = runKeysSchema.extend({
  levels: levels.optional(),
  outer: outer
    .extend({
      optimizer: oneOf(OUTER_OPTIMIZERS, outer.shape.optimizer),
      codec: oneOf(CODECS, outer.shape.codec),
    })
    .prefault({}),
  routing: routing.extend({ method: oneOf(ROUTING_METHODS, routing.shape.method) }).prefault({}),
  /** Paths or globs, relative to the file. */
  corpus: z.union([z.string().min(1), z.array(z.string().min(1)).min(1).max(1024)]),
  /** Field, column or dotted path of records that holds text; of a list, the first that a record has. */
  textField: z.union([z.string().min(1), z.array(z.string().min(1)).min(1).max(64)]).optional(),
  /** Encoding of files that are neither UTF-8 nor UTF-16. */
  encoding: z.string().min(1).optional(),
  /** A given `tokenizer.json`, relative to the file. One is trained when absent. */
  tokenizer: z.string().min(1).optional(),
});

/** The parts of JSON Schema that zod writes for a run file. */
interface Schema {
  type?: string;
  default?: unknown;
  const?: string;
  enum?: string[];
  anyOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minItems?: number;
  maxItems?: number;
}

const ROOT: Schema = JSON.parse(JSON.stringify(z.toJSONSchema(runFileSchema, { io: "input" })));

/** One key of a run file, for documentation. */
export interface RunFileKey {
  /** E.g. `model.width`; items of a list are written `levels[].name`. */
  name: string;
  /** Undefined when the key has no default. */
  default: unknown;
  required: boolean;
  /** What it accepts, e.g. `an integer from 1 to 65536`. */
  expected: string;
}

/** Every key of a run file that holds a value, in the order of the schema. */
export function runFileKeys(): RunFileKey[] {
  const keysOf = (schema: Schema, prefix: string): RunFileKey[] =>
    Object.entries(schema.properties ?? {}).flatMap(([key, property]) => {
      const name = `${prefix}${key}`;
      if (property.properties !== undefined) return keysOf(property, `${name}.`);
      const own = {
        name,
        default: property.default,
        required: schema.required?.includes(key) ?? false,
        expected: describe(property),
      };
      return property.items?.properties === undefined
        ? [own]
        : [own, ...keysOf(property.items, `${name}[].`)];
    });
  return keysOf(ROOT, "");
}

/** What a schema accepts, in words. */
function describe(schema: Schema): string {
  const { type, minimum, maximum, exclusiveMinimum: above, exclusiveMaximum: below } = schema;
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return `one of ${schema.enum.join(", ")}`;
  if (schema.anyOf !== undefined) return schema.anyOf.map(describe).join(" or ");
  if (type === "array") {
    const { minItems = 0, maxItems = Infinity } = schema;
    const size = maxItems === Infinity ? `at least ${minItems}` : `${minItems} to ${maxItems}`;
    return `a list of ${size} entries${schema.items?.type === "object" ? "" : `, each ${describe(schema.items ?? {})}`}`;
  }
  if (type === "integer" || type === "number") {
    const bounds: string[] = [];
    if (minimum !== undefined && maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER)
      bounds.push(`from ${minimum} to ${maximum}`);
    else {
      if (minimum !== undefined) bounds.push(`of at least ${minimum}`);
      if (above !== undefined) bounds.push(`above ${above}`);
      if (below !== undefined) bounds.push(`below ${below}`);
      if (maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER) bounds.push(`of at most ${maximum}`);
    }
    return `${type === "integer" ? "an integer" : "a number"} ${bounds.join(" and ")}`.trim();
  }
  if (type === "boolean") return "true or false";
  if (type === "object") return "a section of keys";
  return type === "null" ? "null" : "a text";
}

function schemaAt(path: readonly PropertyKey[]): Schema {
  let schema: Schema | undefined = ROOT;
  for (const key of path)
    schema = typeof key === "number" ? schema?.items : schema?.properties?.[String(key)];
  return schema ?? {};
}

function unknownKey(section: readonly PropertyKey[], key: string): Problem {
  const path = [...section, key];
  // `width: 64` at the top level is a key of another section more often than a misspelt `data`.
  const elsewhere = runFileKeys().find(({ name }) => name.endsWith(`.${key}`) && !name.includes("[]"));
  const sibling = nearestName(key, Object.keys(schemaAt(section).properties ?? {}));
  const suggestion = elsewhere?.name ?? keyName([...section, sibling ?? ""]);
  return { path, message: `${keyName(path).slice(0, 80)} is not a key; did you mean ${suggestion}?` };
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => (typeof inner === "object" && inner !== null ? Reflect.get(inner, key) : undefined),
    value,
  );
}

/** The problems that zod found in the value of a run file, in the words of this project. */
export function schemaProblems(error: z.ZodError, value: unknown): Problem[] {
  return error.issues.flatMap((issue): Problem[] => {
    if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey(issue.path, key));
    const path = issue.path;
    const name = path.length === 0 ? "the file" : keyName(path);
    const found = valueAt(value, path);
    const shown =
      found === undefined
        ? "missing"
        : found === null
          ? "empty"
          : (typeof found === "number" ? String(found) : JSON.stringify(found)).slice(0, 40);
    const expected = issue.code === "invalid_format" ? issue.message : `expected ${describe(schemaAt(path))}`;
    const hint = found === null ? ", or no such key, which takes the default" : "";
    return [{ path, message: `${name} is ${shown}; ${expected}${hint}.` }];
  });
}
