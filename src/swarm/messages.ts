/**
 * What peers of a run say to each other: one heartbeat kind on the run's topic, signed blocks on the
 * modules' topics, and the three messages of anti-entropy. All are dag-cbor with a schema and a size cap. Nothing refers
 * to them by their CIDs, so a newer Pathweave may add keys, which this one passes over.
 */
import { z } from "zod";
import { cidSchema, bytesSchema, countSchema, defineObject } from "../objects/object.ts";
import { isWork, type Slot, trainSlot } from "../objects/slot.ts";

/** More than a manifest has room for. */
const MAX_MODULES = 16_384;

/** Share of the slot's steps done, 0..1. */
const progress = z.number().min(0).max(1);

/** By kind of work, each with the keys of its slot. */
const leaseSchema = z.discriminatedUnion("work", [z.looseObject({ ...trainSlot, progress })]);

/** A lease on work that only newer peers know. */
const unknownLeaseSchema = z.looseObject({
  work: z
    .string()
    .max(32)
    .refine((work) => !isWork(work)),
});

const heartbeatSchema = z.object({
  run: cidSchema,
  /** Grows with every heartbeat of a peer, also over restarts; older ones are replays. */
  sequence: countSchema,
  /** Time to the peer's next heartbeat at the latest; the more peers there are, the longer. */
  periodSeconds: z.number().positive().max(3600),
  /** Observers read and serve, but neither train nor own. */
  role: z.enum(["worker", "observer"]),
  /** The peer stops: its leases are free at once. */
  leaving: z.boolean(),
  leases: z.array(z.union([leaseSchema, unknownLeaseSchema])).max(64),
  /** Digest of the heads of all modules, so that two peers see at a glance whether they agree. */
  heads: bytesSchema.refine((bytes) => bytes.byteLength === 32, "expected 32 bytes"),
  /** Measured on this model; 0 before the first round. */
  tokensPerSecond: z.number().min(0),
  memoryBytes: countSchema,
  /** Bytes of blocks received and sent since the peer started. */
  bytesIn: countSchema,
  bytesOut: countSchema,
  device: z.string().max(64),
});

/** One of a peer's leases, as its heartbeats carry it. */
export type LeaseNotice = Slot & { progress: number };
type UnknownLease = Record<"work", string>;
export type Heartbeat = Omit<z.infer<typeof heartbeatSchema>, "leases"> & {
  leases: readonly (LeaseNotice | UnknownLease)[];
};
export const Heartbeat = defineObject<Heartbeat>("pathweave/heartbeat", 2, heartbeatSchema.loose());

function isKnownLease(lease: LeaseNotice | UnknownLease): lease is LeaseNotice {
  return isWork(lease.work);
}

/** The leases of a heartbeat on kinds of work that are known here. */
export function knownLeases({ leases }: Pick<Heartbeat, "leases">): LeaseNotice[] {
  return leases.filter(isKnownLease);
}

/** Kinds of work of a heartbeat's leases that are not known here. */
export function unknownWorks({ leases }: Pick<Heartbeat, "leases">): string[] {
  return leases.filter((lease) => !isKnownLease(lease)).map(({ work }) => work);
}

/** A block of the lineage, whole: versions and signed contributions are small, their tensors are not in them. */
const recordSchema = z.object({
  run: cidSchema,
  block: bytesSchema,
});

export type LineageRecord = z.infer<typeof recordSchema>;
export const LineageRecord = defineObject<LineageRecord>("pathweave/lineage-record", 2, recordSchema.loose());

const digestSchema = z.object({
  run: cidSchema,
  /** Of what the sender would tell, of all modules. */
  digest: bytesSchema.refine((bytes) => bytes.byteLength === 32, "expected 32 bytes"),
});

/** "This is a digest of what I know; have you more?" The answer is an empty one whose `more` says so. */
export type Digest = z.infer<typeof digestSchema>;
export const Digest = defineObject<Digest>("pathweave/anti-entropy-digest", 2, digestSchema.loose());

/** "This is what I know of these modules; send me what I lack." */
const askSchema = z.object({
  run: cidSchema,
  modules: z
    .array(
      z.looseObject({
        module: z.string().max(64),
        versions: z.array(cidSchema).max(1024),
        contributions: z.array(cidSchema).max(8192),
      }),
    )
    .max(MAX_MODULES)
    .refine(
      (modules) => new Set(modules.map(({ module }) => module)).size === modules.length,
      "each module once",
    ),
});

export type Ask = z.infer<typeof askSchema>;
export const Ask = defineObject<Ask>("pathweave/anti-entropy-ask", 2, askSchema.loose());

const answerSchema = z.object({
  /** Blocks of versions and signed contributions. */
  records: z.array(bytesSchema).max(4096),
  /** More was left out for size: ask again. */
  more: z.boolean(),
});

export type Answer = z.infer<typeof answerSchema>;
export const Answer = defineObject<Answer>("pathweave/anti-entropy-answer", 2, answerSchema.loose());
