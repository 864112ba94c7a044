/**
 * Pathweave as a library: make a run, take part in it, evaluate its model, let it write and export it. The `pathweave` command
 * is made of the same functions.
 *
 * @example
 * ```ts
 * import { createRun, openDirectory, openPeer, readRunFile } from "pathweave";
 *
 * // Make a run: tokenizer, warm start, router and shards of the corpus that run.yaml names.
 * const directory = "peer-1";
 * const file = await readRunFile("run.yaml");
 * const { network, store, packs, stop } = await openDirectory(directory);
 * const { run } = await createRun({ file, creator: network.peerId, store, packs });
 * await stop();
 *
 * // Train it. On other machines, openPeer takes decodeInvite(text) of the text that is printed here.
 * const done = Promise.withResolvers<void>();
 * const peer = await openPeer({
 *   directory,
 *   invite: { run, bootstrap: [] },
 *   listen: ["/ip4/0.0.0.0/tcp/0"],
 *   emit(event) {
 *     if (event.type === "step") console.log(`path ${event.path}: loss ${event.loss}`);
 *     if (event.type === "done") done.resolve();
 *   },
 * });
 * console.log(peer.invite());
 * await peer.swarm.start();
 * await Promise.race([done.promise, peer.swarm.failure]);
 * await peer.stop();
 * ```
 *
 * Expected failures are thrown as a `PathweaveError`, whose message is one sentence that says what to do next.
 */
export { type CreatedRun, type CreateOptions, createRun } from "./create/create.ts";
export { createEngine } from "./engine/engine.ts";
export type { Engine, EngineConfig } from "./engine/types.ts";
export {
  CapacityError,
  CorpusError,
  InvalidObjectError,
  InviteError,
  ManifestError,
  NetworkError,
  PathweaveError,
  StorageError,
  UnavailableError,
  UsageError,
} from "./errors.ts";
export { evaluateRun, perplexity, type RunEvaluation, type Score } from "./use/evaluate.ts";
export { type ExportedPath, type ExportOptions, exportPaths } from "./use/export.ts";
export { generate, type GenerateOptions } from "./use/generate.ts";
export { version } from "./installation.ts";
export { createLogger, type Level, type Logger, silentLogger } from "./log.ts";
export { modelOfPeer, type ModelSource, pathParameters } from "./use/path-model.ts";
export { openPeer } from "./peer.ts";
export { type DirectoryOptions, openDirectory, type OpenNode } from "./peer/directory.ts";
export type { DeviceOptions, Peer, PeerOptions } from "./peer/types.ts";
export type { CreateProgress } from "./create/prepare.ts";
export { decodeInvite, encodeInvite, type Invite } from "./run/invite.ts";
export { readRunFile } from "./run/run-file.ts";
export type { RunFile } from "./run/types.ts";
export type { SwarmEvent } from "./swarm/types.ts";
