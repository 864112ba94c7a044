/** Trains the slots that the coordinator decides on: from the heads of a path to a finished round, or from its middle. */
import { messageOf, StorageError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { RunConfig } from "../../objects/config.ts";
import type { Lineage } from "../../outer/lineage.ts";
import type { KnownVersion } from "../../outer/types.ts";
import type { Topology } from "../../run/types.ts";
import type { Coordinator } from "../plan/coordinator.ts";
import type { Holdings } from "../modules/holdings.ts";
import { type Slot, slotKey } from "../plan/leases.ts";
import { concatenate } from "../modules/module-states.ts";
import type { PathStates } from "./path-states.ts";
import type { FinishedRound } from "./round.ts";
import type { RoundStates } from "./round-states.ts";
import type { PathTrainer, RoundState, SwarmEvent } from "../types.ts";

export interface RoundDriverInit {
  coordinator: Coordinator;
  trainer: PathTrainer;
  config: RunConfig;
  topology: Topology;
  holdings: Holdings;
  pathStates: PathStates;
  roundStates: RoundStates;
  lineage(module: string): Lineage;
  /** Writes and announces what a round leaves. */
  contribute(round: FinishedRound): Promise<void>;
  /** This peer holds no lease any more. */
  released(): void;
  /** Aborts when the peer stops. */
  stopping: AbortSignal;
  log: Logger;
  emit(event: SwarmEvent): void;
}

export class RoundDriver {
  readonly #init: RoundDriverInit;
  #work: AbortController | undefined;
  /** The peer stops: what is done of the round is kept. */
  #leaving = false;
  #lastSlot: Slot | undefined;
  #tokensPerSecond = 0;

  constructor(init: RoundDriverInit) {
    this.#init = init;
  }

  /** What this peer trained last. */
  get lastSlot(): Slot | undefined {
    return this.#lastSlot;
  }

  /** Speed of the last round. */
  get tokensPerSecond(): number {
    return this.#tokensPerSecond;
  }

  /** Lets the coordinator know of a round that this peer was in when it ended. */
  async restore(): Promise<void> {
    const kept = await this.#init.roundStates.load();
    if (kept === undefined) return;
    this.#init.coordinator.kept(kept.slot, kept.progress.steps / this.#init.config.training.innerSteps);
  }

  /** Gives the round up that is under way. */
  abandon(reason: string): void {
    this.#work?.abort(new Error(reason));
  }

  leave(): void {
    this.#leaving = true;
    this.abandon("the peer stops");
  }

  async train(slot: Slot): Promise<void> {
    const { coordinator, trainer, holdings, roundStates, emit } = this.#init;
    const work = new AbortController();
    const signal = AbortSignal.any([work.signal, this.#init.stopping]);
    this.#work = work;
    this.#lastSlot = slot;
    emit({ type: "lease", state: "started", ...slot });
    try {
      const kept = await this.#keptRound(slot);
      const bases = kept?.bases ?? this.#headsOf(slot);
      const parts = await Promise.all(
        bases.map(async (base) => {
          await holdings.materialise(base);
          return holdings.parameters(base, signal);
        }),
      );
      const start = concatenate(parts);
      const previous = await this.#init.pathStates.load(slot, start.length);
      const from = kept?.state ?? {
        parameters: start.slice(),
        ...(previous === undefined ? {} : { moments: previous.moments }),
      };
      const trained = await trainer.train(
        slot,
        from,
        {
          step(step) {
            coordinator.progress(step.step / step.steps);
            emit({ type: "step", ...step });
          },
          keep: async (state) => {
            // What was given up is not gone on with.
            if (work.signal.aborted && !this.#leaving) return;
            await roundStates.write({ ...state, slot, bases: bases.map(({ cid }) => cid) });
          },
        },
        signal,
      );
      this.#tokensPerSecond = trained.tokensPerSecond;
      signal.throwIfAborted();
      const { training, model } = this.#init.config;
      const tokens = trained.steps * training.batchSize * model.sequenceLength;
      const end = from.parameters;
      await this.#init.contribute({ ...trained, slot, bases, start, end, tokens, previous });
      await roundStates.clear();
      emit({ type: "lease", state: "completed", ...slot });
    } catch (error) {
      // Giving up is a decision, and has been announced as one.
      if (work.signal.aborted) return;
      // What led here does so again, so the next try begins anew.
      if (!(error instanceof StorageError)) await roundStates.clear();
      coordinator.failed(slot, performance.now());
      emit({ type: "lease", state: "abandoned", reason: messageOf(error), ...slot });
      throw error;
    } finally {
      if (this.#work === work) {
        this.#work = undefined;
        coordinator.released();
        this.#init.released();
      }
    }
  }

  #headsOf({ path }: Slot): KnownVersion[] {
    return this.#init.topology.modulesOfPath(path).map((module) => this.#init.lineage(module).head());
  }

  /** What this peer kept of the round when it ended last, unless that is too old to be folded once it is done. */
  async #keptRound(slot: Slot): Promise<{ bases: KnownVersion[]; state: RoundState } | undefined> {
    const { topology, config, lineage, log } = this.#init;
    const kept = await this.#init.roundStates.load();
    if (kept === undefined || slotKey(kept.slot) !== slotKey(slot)) return undefined;
    const bases = topology.modulesOfPath(slot.path).map((module, index) => {
      const base = kept.bases[index] && lineage(module).version(kept.bases[index]);
      const isFoldable =
        base !== undefined &&
        lineage(module).refusal(base.cid) === undefined &&
        lineage(module).head().generation - base.generation < Math.max(1, config.outer.maxStaleness);
      return isFoldable ? base : undefined;
    });
    if (!bases.every((base) => base !== undefined)) return undefined;
    log.info(`going on with round ${slot.round} of path ${slot.path} after step ${kept.progress.steps}`);
    return { bases, state: kept };
  }
}
