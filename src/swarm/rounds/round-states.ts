/**
 * The middle of the round that this peer trains, in one file that is replaced whole. A killed or stopped peer
 * goes on from there when it comes back. The round is a lease's whole worth, so without it a fault costs half a round.
 */
import { createHash } from "node:crypto";
import type { CID } from "multiformats/cid";
import { InvalidObjectError, messageOf } from "../../errors.ts";
import type { Logger } from "../../log.ts";
import { RoundStateObject } from "../../objects/round-state.ts";
import { decodeTensors, encodeTensors } from "../../outer/codec.ts";
import type { Store } from "../../store/types.ts";
import type { RoundState } from "../types.ts";
import type { Slot } from "../../plan/types.ts";

const NAME = "round";
/** θ and both moments. */
const VECTORS = 3;
/** Bytes before the head: its length. */
const LENGTH_BYTES = 4;

export interface KeptRound extends RoundState {
  slot: Slot;
  /** The versions that it started from: of the path's modules, in network order, and of the router. */
  bases: CID[];
}

export interface RoundStates {
  /** What was kept last; undefined when nothing is, or when it is damaged, which is logged. */
  load(): Promise<KeptRound | undefined>;
  write(round: KeptRound): Promise<void>;
  /** The round is done, or not this peer's any more. */
  clear(): Promise<void>;
}

export function createRoundStates({ store, logger }: { store: Store; logger: Logger }): RoundStates {
  return {
    async load() {
      const bytes = await store.readState(NAME);
      if (bytes === undefined || bytes.byteLength === 0) return undefined;
      try {
        return decodeRound(bytes);
      } catch (error) {
        if (!(error instanceof InvalidObjectError)) throw error;
        logger.warn(`what was kept of a round is damaged, so it begins anew: ${messageOf(error)}`);
        return undefined;
      }
    },
    write: (round) => store.writeState(NAME, encodeRound(round)),
    async clear() {
      if (((await store.readState(NAME))?.byteLength ?? 0) > 0)
        await store.writeState(NAME, new Uint8Array());
    },
  };
}

export function encodeRound({ slot, bases, parameters, moments, progress }: KeptRound): Uint8Array {
  const { step, firstMoment, secondMoment } = moments;
  const vectors = [parameters, firstMoment, secondMoment].map((values) => encodeTensors(values, "f32"));
  const digest = digestOf(vectors);
  const elements = parameters.length;
  const { round, path, replica } = slot;
  const from = { round, path, replica, bases };
  const head = RoundStateObject.encode({ ...from, ...progress, step, elements, digest }).bytes;
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(head.byteLength);
  return Buffer.concat([length, head, ...vectors]);
}

/** Throws InvalidObjectError. */
export function decodeRound(bytes: Uint8Array): KeptRound {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.byteLength < LENGTH_BYTES) throw new InvalidObjectError("It is cut short.");
  const start = LENGTH_BYTES + buffer.readUInt32LE();
  const head = RoundStateObject.decode(buffer.subarray(LENGTH_BYTES, start));
  const { round, path, replica, bases, steps, loss, warmsUp, step, elements, digest } = head;
  const size = elements * Float32Array.BYTES_PER_ELEMENT;
  if (buffer.byteLength !== start + VECTORS * size)
    throw new InvalidObjectError(`It has not the ${VECTORS} vectors of ${elements} numbers that it names.`);
  const vectors = Array.from({ length: VECTORS }, (_, index) =>
    buffer.subarray(start + index * size, start + (index + 1) * size),
  );
  if (!digestOf(vectors).equals(digest))
    throw new InvalidObjectError("Its numbers are not what was written.");
  const [parameters, firstMoment, secondMoment] = vectors.map((vector) =>
    decodeTensors(vector, "f32", elements),
  ) as [Float32Array, Float32Array, Float32Array];
  return {
    slot: { work: "train", round, path, replica },
    bases,
    parameters,
    moments: { step, firstMoment, secondMoment },
    progress: { steps, loss, warmsUp },
  };
}

function digestOf(vectors: readonly Uint8Array[]): Buffer {
  const hash = createHash("sha256");
  for (const vector of vectors) hash.update(vector);
  return hash.digest();
}
