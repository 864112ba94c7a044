/** Trains the slots that the coordinator decides on: from the heads of a path to a finished round, or from its middle. */
import type { Clock } from "../../clock.ts";
import { messageOf, StorageError } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import type { RunConfig } from "../../objects/config.ts";
import { ROUTER } from "../../objects/manifest.ts";
import type { Lineage } from "../../outer/lineage.ts";
import type { KnownVersion } from "../../outer/types.ts";
import type { Coordinator } from "../plan/coordinator.ts";
import type { Holdings } from "../modules/holdings.ts";
import { concatenate } from "../modules/module-states.ts";
import { isSameSlot } from "../../plan/slots.ts";
import type { Plan, Slot } from "../../plan/types.ts";
import type { PathStates } from "./path-states.ts";
import type { FinishedRound } from "./round.ts";
import type { RoundStates } from "./round-states.ts";
import type { PathTrainer, RoundState, SwarmEvent } from "../types.ts";

export interface RoundDriverInit {
  clock: Clock;
  coordinator: Coordinator;
  trainer: PathTrainer;
  config: RunConfig;
  plan: Plan;
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

/** The versions that a round starts from: of the path's modules, in network order, and of the router. */
type Start = Pick<FinishedRound, "bases" | "router">;

export class RoundDriver {
  readonly #init: RoundDriverInit;
  #work: AbortController | undefined;
  /** The peer stops and keeps what it has done of the round. */
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
      const { bases, router } = kept ?? this.#headsOf(slot);
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
            await roundStates.write({ ...state, slot, bases: [...bases, router].map(({ cid }) => cid) });
          },
        },
        signal,
      );
      this.#tokensPerSecond = trained.tokensPerSecond;
      signal.throwIfAborted();
      const { training, model } = this.#init.config;
      const tokens = trained.steps * training.batchSize * model.sequenceLength;
      const end = from.parameters;
      await this.#init.contribute({ ...trained, slot, bases, router, start, end, tokens, previous });
      await roundStates.clear();
      emit({ type: "lease", state: "completed", ...slot });
    } catch (error) {
      // Giving up is a decision, and has been announced as one.
      if (work.signal.aborted) return;
      // What led here does so again, so the next try begins anew.
      if (!(error instanceof StorageError)) await roundStates.clear();
      coordinator.failed(slot, this.#init.clock.now());
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

  #headsOf(slot: Slot): Start {
    const head = (module: string): KnownVersion => this.#init.lineage(module).head();
    return { bases: this.#init.plan.laneOf(slot).modules.map(head), router: head(ROUTER) };
  }

  /** What this peer kept of the round when it ended last, unless that is too old to be folded once it is done. */
  async #keptRound(slot: Slot): Promise<(Start & { state: RoundState }) | undefined> {
    const { plan, config, lineage, log } = this.#init;
    const kept = await this.#init.roundStates.load();
    if (kept === undefined || !isSameSlot(kept.slot, slot)) return undefined;
    const bases = plan.laneOf(slot).modules.map((module, index) => {
      const base = kept.bases[index] && lineage(module).version(kept.bases[index]);
      const isFoldable =
        base !== undefined &&
        lineage(module).refusal(base.cid) === undefined &&
        lineage(module).head().generation - base.generation < Math.max(1, config.outer.maxStaleness);
      return isFoldable ? base : undefined;
    });
    const router = kept.bases.at(-1) && lineage(ROUTER).version(kept.bases.at(-1)!);
    if (router === undefined || !bases.every((base) => base !== undefined)) return undefined;
    log.info(`going on with round ${slot.round} of path ${slot.path} after step ${kept.progress.steps}`);
    return { bases, router, state: kept };
  }
}
