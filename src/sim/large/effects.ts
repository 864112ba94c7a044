/** Carries out what the coordinators of simulated peers decide. */
import type { CID } from "multiformats/cid";
import type { RunConfig } from "../../objects/config.ts";
import type { KnownContribution, KnownVersion } from "../../outer/types.ts";
import type { Random } from "../../random.ts";
import { CONTRIBUTION_BYTES, type Messages } from "./messages.ts";
import type { OuterGradients } from "./outer-gradients.ts";
import { contributionsOf, foldedVersion } from "./records.ts";
import type { Training } from "./training.ts";
import type { SimulatedPeer, SimulationEvent } from "./types.ts";
import type { VirtualTime } from "./virtual-time.ts";

/** Time that a fold takes, ms: between these. */
const FOLD_MS = [20, 200] as const;

export interface EffectsInit {
  config: RunConfig;
  time: VirtualTime;
  random: Random;
  messages: Messages;
  training: Training;
  gradients: OuterGradients;
  /** Peers whose own outer gradients are lost as soon as they are on their disks. */
  damaged: ReadonlySet<string>;
  /** The router's genesis version. */
  router: CID;
  /** Receives what happens. */
  events: SimulationEvent[];
  /** Receives when a version was announced, and when the last site had it. */
  spreads: Map<string, { from: number; until: number }>;
}

export class Effects {
  readonly #init: EffectsInit;

  constructor(init: EffectsInit) {
    this.#init = init;
  }

  /** Lets a peer do what its coordinator decides now. */
  tick(peer: SimulatedPeer): void {
    const { time, random, events, messages, training, gradients } = this.#init;
    const { coordinator, spoke } = peer;
    if (peer.training !== undefined) {
      coordinator.progress(training.progress(peer.training));
      if (time.now >= peer.training.end) this.#complete(peer);
    }
    gradients.prefetch(peer);
    for (const decision of coordinator.decide(time.now)) {
      const { type } = decision;
      if (type === "fold") {
        const { module, parent, contributions } = decision;
        const [low, high] = FOLD_MS;
        time.after(low + random.uniform() * (high - low), () => {
          if (peer.alive && !peer.paused) this.#fold(peer, parent, contributions);
          coordinator.foldEnded(module);
        });
        continue;
      }
      events.push({ type, at: time.now, peer: peer.name, slot: decision.slot });
      if (type === "start") training.begin(peer, decision.slot);
      if (type === "abandon") training.abandon(peer);
      if (type !== "start") messages.beat(peer);
    }
    const silence = time.now - spoke.since;
    if (silence >= spoke.period || silence >= coordinator.period(time.now)) messages.beat(peer);
  }

  #complete(peer: SimulatedPeer): void {
    const { config, time, events, messages, training, gradients, damaged, router } = this.#init;
    const { slot, bases } = training.complete(peer);
    events.push({ type: "complete", at: time.now, peer: peer.name, slot });
    const { innerSteps, batchSize } = config.training;
    const contributions = contributionsOf({
      signer: peer.name,
      slot,
      bases,
      router,
      steps: innerSteps,
      tokens: innerSteps * batchSize * config.model.sequenceLength,
    });
    for (const contribution of contributions) {
      if (!damaged.has(peer.name)) gradients.hold(peer, contribution.module, contribution.cid);
      messages.publish(peer, CONTRIBUTION_BYTES, (site) => site.contribution(contribution));
    }
    peer.coordinator.released();
    messages.beat(peer);
  }

  #fold(peer: SimulatedPeer, parent: KnownVersion, contributions: readonly KnownContribution[]): void {
    const { time, events, spreads, messages } = this.#init;
    const { version, byteLength } = foldedVersion(parent, contributions);
    const { cid, module, generation } = version;
    const event = { at: time.now, peer: peer.name, module, generation, contributions: contributions.length };
    events.push({ type: "fold", ...event });
    const spread = spreads.get(cid.toString()) ?? { from: time.now, until: time.now };
    spreads.set(cid.toString(), spread);
    messages.publish(peer, byteLength, (site) => {
      if (site.lineages.get(module)!.version(cid) === undefined) spread.until = time.now;
      return site.version(version);
    });
  }
}
