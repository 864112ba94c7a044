import type { RunConfig } from "../objects/config.ts";

/** The grid of modules as arithmetic: which module serves which path at which level. */
export interface Topology {
  /** P = ∏K. */
  readonly paths: number;
  readonly replicas: number;
  readonly levels: readonly TopologyLevel[];
  /** All modules of the network, level by level, e.g. `lower/0`, `lower/1`. */
  readonly modules: readonly TopologyModule[];
  /** All modules with versions: those of `modules`, then the router. */
  readonly moduleNames: readonly string[];
  /** Modules whose versions a round of a path starts from: those of the path, then the router. */
  basesOfPath(path: number): readonly string[];
  /** Module names of a path, one per level in network order. */
  modulesOfPath(path: number): readonly string[];
  /** Paths through a module, ascending; its length is P_m, 0 for the router. Throws on an unknown module. */
  pathsOfModule(module: string): readonly number[];
  module(name: string): TopologyModule;
}

export interface TopologyLevel {
  readonly index: number;
  readonly name: string;
  readonly choose: number | "shared" | "path";
  /** Parts of the network in order: `embedding`, `block 0`, …, `head`. */
  readonly parts: readonly string[];
  /** Number of modules. */
  readonly size: number;
}

export interface TopologyModule {
  readonly name: string;
  readonly level: number;
  readonly paths: readonly number[];
}

/** A run configuration as read from YAML, with where its corpus lies. */
export interface RunFile {
  config: RunConfig;
  /** Absolute paths or globs of the corpus. */
  corpus: string[];
  /** Fields, columns or dotted paths of records that hold text; the usual names when undefined. */
  textFields?: string[] | undefined;
  /** WHATWG name of the encoding of files that are neither UTF-8 nor UTF-16. */
  encoding?: string | undefined;
  /** A given `tokenizer.json`, absolute, or undefined to train one. */
  tokenizer: string | undefined;
}
