import { join } from "node:path";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import type { CommandModule } from "yargs";
import { systemClock } from "../../src/clock.ts";
import type { CreateProgress } from "../../src/create/prepare.ts";
import { InterruptedError, UsageError } from "../../src/errors.ts";
import { dataFlag, pathweaveCommand } from "../../src/invocation.ts";
import { createLogger } from "../../src/log.ts";
import { IDENTITY_FILE, loadIdentity } from "../../src/net/identity.ts";
import { createSwarmKey, readSwarmKey } from "../../src/net/swarm-key.ts";
import { isAdmitted, type RunConfig } from "../../src/objects/config.ts";
import { elementsOfParts, modelShape } from "../../src/model/parameters.ts";
import type { OpenNode } from "../../src/peer.ts";
import { describeSplit } from "../../src/data/describe-split.ts";
import { describeLosses } from "../../src/data/losses.ts";
import { describeRun } from "../../src/run/describe.ts";
import { describeSkipped, requireAll, SkippedLog } from "../../src/data/skipped.ts";
import { encodeInvite } from "../../src/run/invite.ts";
import { readRunFile } from "../../src/run/run-file.ts";
import { checkCapacity, runSizes } from "../../src/run/sizes.ts";
import { createTopology } from "../../src/run/topology.ts";
import { checkAddresses } from "../../src/net/addresses.ts";
import { readInvite, writeInvite } from "../../src/store/invite-file.ts";
import { endsWithin } from "../../src/within.ts";
import { openNewFolder } from "../new-folder.ts";
import {
  dataOptions,
  deviceOf,
  engineOptions,
  maxDiskBytes,
  networkOptions,
  outputOptions,
  workOptions,
} from "../options.ts";
import {
  counted,
  createProgress,
  formatBar,
  formatCount,
  formatJson,
  formatNumber,
  wrapRows,
} from "../output.ts";
import type { PeerFlags } from "../peer-session.ts";
import { openSkippedFile } from "../skipped.ts";
import { COMMAND_STOPS, onInterrupt, PEER_STOPS, untilInterrupted } from "../shutdown.ts";

/** Of an interruption: for what is under way to end, and for the store to close. */
const GRACE_MS = 800;

interface CreateFlags extends PeerFlags {
  file: string;
  start: boolean;
  strict: boolean;
  private: boolean;
  "swarm-key-file": string | undefined;
}

export const command: CommandModule<object, CreateFlags> = {
  describe: "Make a run from a YAML file and its corpus, then start its first peer",
  builder: (yargs) =>
    yargs
      .positional("file", { type: "string", demandOption: true, describe: "The run's YAML file" })
      .options({ ...dataOptions, ...networkOptions, ...engineOptions, ...workOptions, ...outputOptions })
      .option("start", {
        type: "boolean",
        default: true,
        describe: "Start the first peer; --no-start only makes the run",
      })
      .option("strict", {
        type: "boolean",
        default: false,
        describe: "End when any file or record of the corpus cannot be read, instead of skipping it",
      })
      .option("private", {
        type: "boolean",
        default: false,
        describe: "Make a key without which nobody can connect; the invite holds it",
      })
      .option("swarm-key-file", {
        type: "string",
        requiresArg: true,
        describe: "Use the key in this file, which a bootstrap node may share; implies --private",
      })
      .example("$0 create run.yaml", "tokenize, warm-start and shard the corpus, then train")
      .example(
        "$0 create run.yaml --no-start --data ./lab",
        "make the run; start it later: pathweave join --data ./lab",
      )
      .example("$0 create run.yaml --private", "for a lab: only who has the invite can connect"),
  async handler(flags) {
    let says = COMMAND_STOPS;
    const shutdown = onInterrupt(() => flags.json || process.stderr.write(`${says}\n`));
    await makeRun(flags, shutdown.signal);
    says = PEER_STOPS;
    if (flags.start) await (await import("../peer-session.ts")).runPeer(flags, undefined, shutdown);
    else if (!flags.json)
      process.stdout.write(`Start its first peer: ${pathweaveCommand("join", ...dataFlag(flags.data))}\n`);
  },
};

/** Makes the run in `flags.data`. If that fails or is interrupted, the folder is as it was before. */
async function makeRun(flags: CreateFlags, signal: AbortSignal): Promise<void> {
  checkAddresses(flags);
  const device = deviceOf(flags);
  const file = await readRunFile(flags.file);
  if ((await readInvite(flags.data)) !== undefined)
    throw new UsageError(
      `${flags.data} holds a run already. Choose another --data, or go on with it: ${pathweaveCommand("join", ...dataFlag(flags.data))}`,
    );
  const topology = createTopology(file.config);
  const sizes = runSizes(file.config, topology, elementsOfParts(modelShape(file.config.model)));
  const maxBytes = maxDiskBytes(flags);
  const swarmKey = await swarmKeyOf(flags);
  if (file.config.admission?.peers !== undefined) await requireListed(flags, file.config);
  const progress = createProgress(flags.json ? process.stderr : process.stdout);
  for (const line of wrapRows(describeRun(file.config, topology, sizes))) progress.line(line);
  // What is wrong with flags and file is said before the network and the engine are loaded, which is slow.
  const [{ createRun }, { capacityOf, openDirectory }] = await Promise.all([
    import("../../src/create/create.ts"),
    import("../../src/peer.ts"),
  ]);
  const folder = await openNewFolder(flags.data);
  let node: OpenNode | undefined;
  try {
    checkCapacity(sizes, await capacityOf(flags.data, maxBytes));
    node = await openDirectory(
      flags.data,
      { listen: [], announce: [], bootstrap: [], mdns: false },
      createLogger(flags["log-level"]),
      maxBytes === undefined ? {} : { quota: { maxBytes, reclaim: false } },
    );
    const list = openSkippedFile(flags.data);
    const left = new SkippedLog((each) => list.add(each));
    const created = await untilInterrupted(
      signal,
      createRun({
        file,
        skipped: left,
        onRead: () => {
          if (flags.strict) requireAll(left);
          list.flush();
          for (const line of describeSkipped(left)) progress.line(line);
          if (left.total > 0) progress.line(`each of them is named in ${list.path}`);
        },
        creator: node.network.peerId,
        store: node.store,
        packs: node.packs,
        device,
        onProgress: (step) => progress.update(describeProgress(step)),
        signal,
      }),
      GRACE_MS,
    );
    const { counts, skipped, manifest, duplicates, cut, apart, losses } = created;
    progress.line(
      `corpus: ${formatCount(counts.train.tokens)} tokens in ${counted(counts.train.documents, "document")} to train on, ` +
        `${counts.validation.documents} held out; shards of ${manifest.shards.map((shard) => formatCount(shard.tokens)).join(", ")} tokens`,
    );
    for (const line of [...describeSplit(duplicates, cut, apart), ...describeLosses(losses)])
      progress.line(line);
    const invite = { run: created.run, bootstrap: flags.bootstrap };
    await writeInvite(
      flags.data,
      encodeInvite({ ...invite, ...(swarmKey === undefined ? {} : { swarmKey }) }),
    );
    progress[Symbol.dispose]();
    const result = {
      run: created.run,
      shards: manifest.shards,
      skipped: skipped.entries,
      skippedCount: skipped.total,
      ...(skipped.total > 0 ? { skippedFile: list.path } : {}),
      duplicates,
      losses,
      data: flags.data,
    };
    if (flags.json)
      process.stdout.write(`${formatJson(flags.start ? { type: "created", ...result } : result)}\n`);
    else progress.line(`run ${created.run} is in ${flags.data}`);
  } catch (error) {
    progress[Symbol.dispose]();
    if (node !== undefined) await endsWithin(GRACE_MS, node.stop(), systemClock).catch(() => false);
    // What was written belongs to no run yet; but what was there before is not ours to delete.
    if (folder.isNew || node !== undefined) await folder.undo().catch(() => {});
    if (error instanceof InterruptedError)
      throw new InterruptedError(
        error.signal,
        `Interrupted. Nothing of the run is kept, and ${flags.data} is as it was before. To start again: ${pathweaveCommand("create", flags.file, ...dataFlag(flags.data))}`,
      );
    throw error;
  }
  await node.stop();
}

/** A run whose first peer is refused by all others could never start. */
async function requireListed(flags: CreateFlags, config: RunConfig): Promise<void> {
  const key = await loadIdentity(join(flags.data, IDENTITY_FILE), createLogger(flags["log-level"]));
  const self = peerIdFromPrivateKey(key).toString();
  if (!isAdmitted(config, self))
    throw new UsageError(
      `${flags.file} does not admit the peer in ${flags.data} itself. Add ${self} to admission.peers.`,
    );
}

async function swarmKeyOf(flags: CreateFlags): Promise<Uint8Array | undefined> {
  if (flags["swarm-key-file"] !== undefined) return readSwarmKey(flags["swarm-key-file"]);
  return flags.private ? createSwarmKey() : undefined;
}

/** One line of progress of making a run. */
export function describeProgress(progress: CreateProgress): string {
  switch (progress.stage) {
    case "tokenizer":
      return "training the tokenizer";
    case "surveying":
      return progress.done === 0
        ? "reading the corpus"
        : `reading: ${counted(progress.done, "document", formatCount)}`;
    case "compiling":
      return "compiling the training step";
    case "fitting":
      return `fitting the router to ${counted(progress.done, "document")}`;
    case "reading":
      return `reading and tokenizing: ${counted(progress.done, "document", formatCount)}`;
    case "seed":
      return `warm start ${formatBar(progress.done, progress.total)} step ${progress.done}/${progress.total} loss ${formatNumber(progress.step.loss)}`;
    case "routing":
      return `routing documents ${formatBar(progress.done, progress.total ?? progress.done)}`;
    case "writing":
      return `writing shards ${formatBar(progress.done, progress.total ?? progress.done)}`;
  }
}
