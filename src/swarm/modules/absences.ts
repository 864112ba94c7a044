/** For how long the tensors of versions could not be had. Pure. */
import type { CID } from "multiformats/cid";

/** Grace times without a version's tensors after which this peer builds on another version until they are here. */
const ABSENT_GRACES = 2;

export interface Absences {
  /**
   * Notes that a version could not be had, with how many blocks missing. Returns whether it is given up: after two grace
   * times without any progress. Whoever published it may be gone with the only copy of what it folds, or withhold it.
   */
  missed(version: CID, missing: number | undefined, now: number): boolean;
  had(version: CID): void;
}

export function createAbsences(graceMs: number): Absences {
  const absent = new Map<string, { since: number; missing: number | undefined }>();
  return {
    missed(version, missing, now) {
      const before = absent.get(version.toString());
      // On a slow link the blocks of a large module come in many tries.
      const since = before !== undefined && before.missing === missing ? before.since : now;
      absent.set(version.toString(), { since, missing });
      return now - since >= ABSENT_GRACES * graceMs;
    },
    had: (version) => void absent.delete(version.toString()),
  };
}
