import type { Check } from "../types.ts";

/** What a peer announced it knows again after any end, for as long as its disk was not damaged. */
export const announcedIsRetained: Check = {
  name: "announced is retained",
  restored({ name, announced, records, swarm }) {
    const there = new Map(records.map((record) => [record.cid, record]));
    return [...announced].flatMap((cid) => {
      const record = there.get(cid);
      if (record === undefined) return [`${name} announced ${cid}, which is not on its disk any more.`];
      return isKnown(swarm, record)
        ? []
        : [`${name} announced ${cid} of ${record.module} and has forgotten it.`];
    });
  },
};

/** Whether a peer knows a record, if only to wait for what it refers to, or to refuse it. */
export function isKnown(
  swarm: Parameters<NonNullable<Check["restored"]>>[0]["swarm"],
  { module, cid }: { module: string; cid: string },
): boolean {
  const lineage = swarm.lineage(module);
  return (
    lineage.contributions().some((other) => other.cid.toString() === cid) ||
    lineage.versions().some((other) => other.cid.toString() === cid) ||
    lineage.orphans().some((other) => other.toString() === cid)
  );
}
