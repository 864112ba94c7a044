/** Gives a target hostile inputs and says what it should not have done. */
import { getHeapStatistics } from "node:v8";
import { messageOf } from "../../src/errors.ts";
import { createRandom } from "../../src/random.ts";
import { mutated } from "./mutate.ts";
import type { Target } from "./targets/target.ts";

/** What one input may take: a block is at most 1 MiB, and no decoder needs more than a few copies of it. */
export const MAX_GROWTH_BYTES = 64 << 20;

/** An input that was neither decoded nor refused as documented. */
export interface Finding {
  index: number;
  problem: string;
}

export interface Outcome {
  inputs: number;
  /** Inputs that were as good as a valid one. */
  accepted: number;
  /** Processor time of the input that took longest. */
  milliseconds: number;
  /** Bytes of memory that the largest input took until it was decoded. */
  growth: number;
  findings: Finding[];
}

/** Input `index` of a target; the same on every machine. */
export function inputOf({ name, corpus, mutate }: Target, seed: number, index: number): Uint8Array {
  return mutated(corpus, mutate, createRandom("fuzz", name, seed, index));
}

/** Decodes one input: whether it was accepted, and what was wrong with how it was refused. */
export async function tryInput(
  target: Target,
  input: Uint8Array,
): Promise<{ accepted: boolean; problem?: string }> {
  try {
    await target.decode(input);
    return { accepted: true };
  } catch (error) {
    if (target.throws.some((kind) => error instanceof kind)) return { accepted: false };
    return {
      accepted: false,
      problem: error instanceof Error ? (error.stack ?? error.name) : messageOf(error),
    };
  }
}

/** Tries the inputs `from` to `to` (exclusive); one that takes the processor longer than `maxMs` is a finding, too. */
export async function fuzz(
  target: Target,
  seed: number,
  from: number,
  to: number,
  maxMs = Infinity,
): Promise<Outcome> {
  const outcome: Outcome = { inputs: to - from, accepted: 0, milliseconds: 0, growth: 0, findings: [] };
  for (let index = from; index < to; index++) {
    const input = inputOf(target, seed, index);
    const memory = memoryInUse();
    const began = process.cpuUsage();
    const { accepted, problem } = await tryInput(target, input);
    const { user, system } = process.cpuUsage(began);
    const milliseconds = (user + system) / 1000;
    outcome.milliseconds = Math.max(outcome.milliseconds, milliseconds);
    const growth = memoryInUse() - memory;
    outcome.growth = Math.max(outcome.growth, growth);
    if (accepted) outcome.accepted++;
    let found = problem;
    if (growth > MAX_GROWTH_BYTES) found ??= `it took ${growth} bytes of memory`;
    if (milliseconds > maxMs) found ??= `it took ${milliseconds} ms`;
    if (found !== undefined) outcome.findings.push({ index, problem: found });
  }
  return outcome;
}

/** Of JavaScript's heap and of array buffers, touched or not. A collection in between only hides some. */
function memoryInUse(): number {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
}
