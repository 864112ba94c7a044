/** Carries out what conduct demands: keeps evidence, tells, and shuts out blocked peers. */
import type { CID } from "multiformats/cid";
import type { Network, PeerJudge } from "../../net/types.ts";
import { type Conduct, createConduct, type Offence } from "./offences.ts";
import type { Evidence, EvidenceLog } from "./evidence.ts";
import type { Tasks } from "../tasks.ts";
import type { SwarmEvent } from "../types.ts";

export interface DisciplineInit {
  network: Pick<Network, "peerId" | "judgeBy" | "disconnect">;
  /** Absent when nothing is to be kept. */
  evidence: EvidenceLog | undefined;
  /** Milliseconds of the local clock. */
  now(): number;
  /** Forgets that the peer lives, and its leases. */
  forget(peer: string): void;
  emit(event: SwarmEvent): void;
}

export interface Discipline extends PeerJudge {
  /** Charges a peer; this one itself is never charged. Rejects when the evidence cannot be written. */
  charge(evidence: Evidence & { offence: Offence }): Promise<void>;
}

export function createDiscipline(init: DisciplineInit): Discipline {
  const { network, evidence: log, now, forget, emit } = init;
  const conduct: Conduct = createConduct();
  const judge: PeerJudge = {
    penalty: (peer) => conduct.score(peer, now()),
    blocked: (peer) => conduct.blocked(peer, now()),
  };
  network.judgeBy(judge);
  return {
    ...judge,
    async charge(evidence) {
      const { peer, offence, reason, cid } = evidence;
      if (peer === network.peerId) return;
      const milliseconds = conduct.charge(peer, offence, now());
      const score = Math.round(conduct.score(peer, now()));
      emit({ type: "offence", peer, offence, reason, score, ...(cid === undefined ? {} : { cid }) });
      if (milliseconds > 0) {
        forget(peer);
        emit({ type: "blocked", peer, offence, reason, seconds: milliseconds / 1000 });
        network.disconnect(peer);
      }
      await log?.append(evidence);
    },
  };
}

/** Charges a peer in the background, with what it sent as evidence. */
export type Charge = (
  peer: string,
  offence: Offence,
  reason: string,
  object?: { cid?: CID; bytes?: Uint8Array },
) => void;

export function createCharge(discipline: Discipline, tasks: Pick<Tasks, "run">): Charge {
  return (peer, offence, reason, { cid, bytes } = {}) =>
    tasks.run(`evidence against ${peer}`, () =>
      discipline.charge({
        peer,
        offence,
        reason,
        ...(cid === undefined ? {} : { cid: cid.toString() }),
        ...(bytes === undefined ? {} : { bytes }),
      }),
    );
}
