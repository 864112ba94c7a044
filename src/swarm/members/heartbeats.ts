/** When this peer speaks, and what it says. */
import { createHash } from "node:crypto";
import type { CID } from "multiformats/cid";
import type { Clock } from "../../clock.ts";
import type { TransferCount } from "../../store/types.ts";
import type { Coordinator } from "../plan/coordinator.ts";
import { Heartbeat } from "../messages.ts";

export interface HeartbeatsInit {
  clock: Clock;
  run: CID;
  coordinator: Coordinator;
  role: Heartbeat["role"];
  device: string;
  memoryBytes: number;
  /** CIDs of the heads of all modules, in the topology's order. */
  heads(): CID[];
  tokensPerSecond(): number;
  transferred(): TransferCount;
  publish(bytes: Uint8Array): Promise<void>;
}

export interface Heartbeats {
  /** Speaks now. `leaving` says goodbye, which frees the leases at once. */
  publish(leaving?: boolean): Promise<void>;
  /**
   * Whether the time has come that the last heartbeat promised, or there is cause to speak sooner.
   * @param slackMs how much early is near enough
   */
  isDue(now: number, slackMs: number): boolean;
}

export function createHeartbeats(init: HeartbeatsInit): Heartbeats {
  const { clock, run, coordinator, role, device, memoryBytes } = init;
  let sequence = 0;
  /** When the last one was sent, and within what time it promised the next. */
  let spoke = { since: Number.NEGATIVE_INFINITY, period: 0 };

  function digestOfHeads(): Uint8Array {
    const hash = createHash("sha256");
    for (const { bytes } of init.heads()) hash.update(bytes);
    return hash.digest();
  }

  return {
    async publish(leaving = false) {
      const now = clock.now();
      const period = coordinator.period(now);
      spoke = { since: now, period };
      sequence = Math.max(sequence + 1, clock.wall());
      const { bytes } = Heartbeat.encode({
        run,
        sequence,
        periodSeconds: period / 1000,
        role,
        leaving,
        leases: leaving ? [] : coordinator.notices(),
        heads: digestOfHeads(),
        tokensPerSecond: init.tokensPerSecond(),
        memoryBytes,
        ...init.transferred(),
        device,
      });
      await init.publish(bytes);
    },
    isDue: (now, slackMs) => now - spoke.since >= Math.min(spoke.period, coordinator.period(now)) - slackMs,
  };
}
