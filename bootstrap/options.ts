/** The flags of `pathweave-bootstrap`, and their mirror in the environment. */
import { homedir } from "node:os";
import { join } from "node:path";
import { closest } from "fastest-levenshtein";
import yargs from "yargs";
import { UsageError } from "../src/errors.ts";
import { parseAddresses } from "../src/net/addresses.ts";
import { terminalWidth } from "../node/table.ts";

const ENV_PREFIX = "PATHWEAVE_BOOTSTRAP_";
const DEFAULT_DATA = join(homedir(), ".pathweave", "bootstrap");
const DEFAULT_LISTEN: string[] = ["/ip4/0.0.0.0/tcp/4001", "/ip4/0.0.0.0/tcp/4002/ws"];
const NONE: string[] = [];

const FLAGS = {
  listen: {
    type: "string",
    array: true,
    default: DEFAULT_LISTEN,
    describe: "Address to listen on; repeat for several",
  },
  announce: {
    type: "string",
    array: true,
    default: NONE,
    describe: "Address at which others reach this node, if it listens on another; repeat for several",
  },
  data: { type: "string", default: DEFAULT_DATA, describe: "Directory of this node" },
  identity: { type: "string", describe: "File of this node's key  [default: identity.key in --data]" },
  "swarm-key-file": {
    type: "string",
    describe: "Serve a private swarm: file with its swarm key, or with an invite to it",
  },
  json: { type: "boolean", default: false, describe: "Print events as JSON lines" },
} as const;

export interface Flags {
  listen: string[];
  announce: string[];
  identity: string;
  swarmKeyFile: string | undefined;
  json: boolean;
}

/** Parses flags and environment. Prints help and exits for `--help`. Throws UsageError. */
export async function parseFlags(arguments_: string[], environment: NodeJS.ProcessEnv): Promise<Flags> {
  const mirrored = fromEnvironment(environment);
  const parser = yargs(arguments_)
    .scriptName("pathweave-bootstrap")
    .usage(
      "$0 [flags]\n\nRuns a rendezvous and relay node. Peers use it to find each other; a running swarm does not need it.",
    )
    .options(FLAGS)
    .config(mirrored)
    .strict()
    .version(false)
    .wrap(Math.min(100, terminalWidth()))
    .example("$0", "Listen on port 4001 (TCP) and 4002 (WebSocket)")
    .example("$0 --announce /dns4/boot.example.org/tcp/4001", "Behind a name or a forwarded port")
    .example(
      "$0 --listen /ip4/127.0.0.1/tcp/0 --json",
      "For tests and scripts: any free port, JSON on stdout",
    )
    .example("$0 --swarm-key-file lab.invite", "For a private swarm, with what pathweave invite prints")
    .epilogue(
      `Every flag has an environment variable, such as ${ENV_PREFIX}LISTEN; commas separate several values.`,
    )
    .fail((message: string, error: Error | undefined) => {
      throw error ?? new UsageError(`${message}${suggestion(message)} (see --help).`);
    });
  const flags = await parser.parseAsync();
  parseAddresses(flags.listen, "listen");
  parseAddresses(flags.announce, "announce");
  return {
    listen: flags.listen,
    announce: flags.announce,
    identity: flags.identity ?? join(flags.data, "identity.key"),
    swarmKeyFile: flags["swarm-key-file"],
    json: flags.json,
  };
}

function fromEnvironment(environment: NodeJS.ProcessEnv): Record<string, string | string[] | boolean> {
  const values: Record<string, string | string[] | boolean> = {};
  const names = new Map(
    Object.keys(FLAGS).map((flag) => [ENV_PREFIX + flag.toUpperCase().replaceAll("-", "_"), flag]),
  );
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith(ENV_PREFIX) || value === undefined) continue;
    const flag = names.get(name);
    if (flag === undefined)
      throw new UsageError(
        `The environment variable ${name} is unknown; did you mean ${closest(name, [...names.keys()])}?`,
      );
    if (flag === "json") values[flag] = value === "true" || value === "1";
    else if (flag === "listen" || flag === "announce") values[flag] = value.split(",");
    else values[flag] = value;
  }
  return values;
}

function suggestion(message: string): string {
  const unknown = /Unknown argument: (\S+)/.exec(message)?.[1];
  return unknown === undefined ? "" : `; did you mean --${closest(unknown, Object.keys(FLAGS))}`;
}
