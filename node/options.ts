/** Flags that several commands share. Each has a mirror in the environment: `--log-level` is PATHWEAVE_LOG_LEVEL. */
import type { Options } from "yargs";
import { UsageError } from "../src/errors.ts";
import { DEFAULT_DATA } from "../src/invocation.ts";
import { parseBytes } from "../src/run/format.ts";

/** Where a peer keeps what must survive a restart. */
export const dataOptions = {
  data: {
    type: "string",
    default: DEFAULT_DATA,
    requiresArg: true,
    describe: "Folder for keys, blocks and optimizer state; one per running peer",
  },
} as const satisfies Record<string, Options>;

/** How a peer meets others. */
export const networkOptions = {
  listen: {
    type: "string",
    array: true,
    default: ["/ip4/0.0.0.0/tcp/0"] as string[],
    requiresArg: true,
    describe: "Multiaddrs to listen on; port 0 takes any free port, /p2p-circuit any bootstrap as a relay",
  },
  announce: {
    type: "string",
    array: true,
    default: [] as string[],
    requiresArg: true,
    describe: "Multiaddrs to tell others, when a router or a proxy stands in front",
  },
  bootstrap: {
    type: "string",
    array: true,
    default: [] as string[],
    requiresArg: true,
    describe: "Multiaddrs of peers or bootstrap nodes to dial first, beside the invite's",
  },
  mdns: {
    type: "boolean",
    default: true,
    describe: "Find peers on the local network",
  },
  "max-connections": {
    type: "number",
    default: 200,
    requiresArg: true,
    describe: "Most connections at once; the peer refuses more",
  },
  "max-mbps": {
    type: "number",
    requiresArg: true,
    describe: "Most Mbit/s that this peer sends, and likewise receives; no limit when absent",
  },
} as const satisfies Record<string, Options>;

/** What a peer computes with. */
export const engineOptions = {
  engine: {
    type: "string",
    choices: ["compiled", "eager"] as const,
    default: "compiled" as const,
    requiresArg: true,
    describe: "Compile the training step to one graph, or run a tfjs backend op by op",
  },
  device: {
    type: "string",
    default: "cpu",
    requiresArg: true,
    describe: "compiled: cpu, webgpu or cuda; eager: an installed tfjs backend",
  },
  threads: {
    type: "number",
    requiresArg: true,
    describe: "Threads of the cpu device; all cores when absent",
  },
} as const satisfies Record<string, Options>;

/** What `engineOptions` gives. */
export interface EngineFlags {
  engine: "compiled" | "eager";
  device: string;
  threads: number | undefined;
}

/** More would only be a slip of the finger, and each takes memory. */
const MOST_THREADS = 1024;

/** What to compute with, as an engine takes it. Throws UsageError. */
export function deviceOf({ engine, device, threads }: EngineFlags): {
  kind: EngineFlags["engine"];
  device: string;
  threads?: number;
} {
  if (threads === undefined) return { kind: engine, device };
  if (!(Number.isInteger(threads) && threads >= 1 && threads <= MOST_THREADS))
    throw new UsageError(`--threads takes a whole number from 1 to ${MOST_THREADS}, such as 2.`);
  return { kind: engine, device, threads };
}

/** What a peer does for its run. */
export const workOptions = {
  archive: {
    type: "boolean",
    default: false,
    describe: "Keep the tensors of all generations, so that this peer can audit the whole history",
  },
  "max-disk": {
    type: "string",
    requiresArg: true,
    describe: "Most that this peer stores, such as 20GB; when it needs more, it ends in order",
  },
} as const satisfies Record<string, Options>;

/** Where a command may find its invite instead of among its arguments. */
export const inviteFileOption = {
  "invite-file": {
    type: "string",
    requiresArg: true,
    describe: "File that holds the invite, or - for standard input; all users can see arguments",
  },
} as const satisfies Record<string, Options>;

/** What a command says. */
export const outputOptions = {
  "log-level": {
    type: "string",
    choices: ["debug", "info", "warn", "error"] as const,
    default: "warn" as const,
    requiresArg: true,
    describe: "Log lines of this level and above go to standard error",
  },
  json: {
    type: "boolean",
    default: false,
    describe: "End with one line of JSON for programs",
  },
} as const satisfies Record<string, Options>;

/** How a command looks at a run from outside. */
export const observeOptions = {
  ...dataOptions,
  bootstrap: networkOptions.bootstrap,
  mdns: networkOptions.mdns,
  ...inviteFileOption,
  ...outputOptions,
} as const satisfies Record<string, Options>;

/** The positional argument of those commands. */
export const inviteArgument = {
  type: "string",
  describe: "The invite; without one, the run in --data",
} as const;

/** The limit of --max-disk, if there is one. Throws UsageError. */
export function maxDiskBytes({ "max-disk": text }: { "max-disk": string | undefined }): number | undefined {
  return text === undefined ? undefined : parseBytes(text, "max-disk");
}
