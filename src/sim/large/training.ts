/** How long peers train their slots, and what they keep of a round that they did not end. */
import type { CID } from "multiformats/cid";
import type { RunConfig } from "../../objects/config.ts";
import { isSameSlot } from "../../plan/slots.ts";
import type { Plan, Slot } from "../../plan/types.ts";
import type { Random } from "../../random.ts";
import type { SimulatedNetwork } from "./network.ts";
import type { SimulatedPeer } from "./types.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** How long a round takes of a peer that hangs, ms; a share of it is a number, as a share of infinity is not. */
const FOREVER_MS = Number.MAX_SAFE_INTEGER;

export interface TrainingInit {
  config: RunConfig;
  plan: Plan;
  time: VirtualTime;
  network: SimulatedNetwork;
  random: Random;
  /** Computing time of a round, ms: between these. */
  roundMs: [number, number];
  /** Bytes of a module's parameters. */
  moduleBytes: number;
  /** How many times longer than others a peer takes for a round. */
  slowness: ReadonlyMap<string, number>;
}

export class Training {
  /** Computing time that brought no contribution, and that which brought one, ms. */
  wastedMs = 0;
  trainedMs = 0;
  readonly #init: TrainingInit;

  constructor(init: TrainingInit) {
    this.#init = init;
  }

  /** Begins a slot, or goes on with what the peer kept of it. */
  begin(peer: SimulatedPeer, slot: Slot): void {
    const { plan, time, network, random, roundMs, moduleBytes, slowness } = this.#init;
    const { modules } = plan.laneOf(slot);
    const bases = new Map(modules.map((module) => [module, peer.lineages.get(module)!.head().cid]));
    const [low, high] = roundMs;
    const computing = (low + random.uniform() * (high - low)) * (slowness.get(peer.name) ?? 1);
    const bytes = modules.length * moduleBytes;
    network.fetched(bytes);
    const length = Math.min(network.transfer(bytes) + computing, FOREVER_MS);
    const kept = this.#keptOf(peer, slot);
    if (kept === undefined) this.wastedMs += peer.kept?.milliseconds ?? 0;
    // As if it had begun so long ago.
    const start = time.now - (kept?.share ?? 0) * length;
    peer.training = { slot, start, end: start + length, bases: kept?.bases ?? bases };
    peer.kept = undefined;
  }

  /** Share of the round's steps that a peer has done. */
  progress({ start, end }: { start: number; end: number }): number {
    const { innerSteps } = this.#init.config.training;
    const share = Math.min(1, (this.#init.time.now - start) / (end - start));
    return Math.floor(share * innerSteps) / innerSteps;
  }

  /** Takes a round that is done from the peer. */
  complete(peer: SimulatedPeer): { slot: Slot; bases: Map<string, CID> } {
    const { slot, bases, start } = peer.training!;
    peer.training = undefined;
    this.trainedMs += this.#init.time.now - start;
    return { slot, bases };
  }

  abandon(peer: SimulatedPeer): void {
    if (peer.training === undefined) return;
    this.wastedMs += this.#init.time.now - peer.training.start;
    peer.training = undefined;
  }

  /** The peer's process ends; the round is kept to the last multiple of `keepMs` since it began. */
  interrupt(peer: SimulatedPeer, keepMs: number): void {
    const { training } = peer;
    if (training === undefined) return;
    const { slot, bases, start, end } = training;
    const done = this.#init.time.now - start;
    const keeps = Number.isFinite(keepMs) ? Math.floor(done / keepMs) * keepMs : 0;
    peer.kept = keeps > 0 ? { slot, bases, share: keeps / (end - start), milliseconds: keeps } : undefined;
    this.wastedMs += done - keeps;
    peer.training = undefined;
  }

  /** What a peer can go on from, unless it is too old to be folded once it is done. */
  #keptOf({ kept, lineages }: SimulatedPeer, slot: Slot): SimulatedPeer["kept"] {
    if (kept === undefined || !isSameSlot(kept.slot, slot)) return undefined;
    const { maxStaleness } = this.#init.config.outer;
    const isFoldable = ([module, base]: [string, CID]): boolean => {
      const lineage = lineages.get(module)!;
      const version = lineage.version(base);
      return (
        version !== undefined && lineage.head().generation - version.generation < Math.max(1, maxStaleness)
      );
    };
    return [...kept.bases].every(isFoldable) ? kept : undefined;
  }
}
