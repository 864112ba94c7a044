import type { Launch } from "../peer-process.ts";

export interface Link {
  bytesPerSecond: number;
  latencyMs: number;
}

export interface Partition {
  /** Names of one side; all others are the other side. */
  side: ReadonlySet<string>;
  /** drop: bytes wait, as on a cable that is cut and mended; reset: connections break. */
  mode: "drop" | "reset";
}

/** A network between processes on one machine that can fail. */
export interface ChaosNetwork {
  /** How to start a process so that it is part of the network. */
  launch(name: string): Launch;
  /** Parts the processes into two sides until it is called with undefined. */
  partition(partition: Partition | undefined): Promise<void>;
  /** Slows all links of a process, both ways, until it is called with undefined. */
  slow(name: string, link: Link | undefined): Promise<void>;
  close(): Promise<void>;
}
