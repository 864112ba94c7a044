/**
 * A thread of a worker that lives worlds. A peer that goes round and round without waiting keeps the thread of the world
 * busy for ever, so this one ends the process, and says in which seed. It counts processor time, which a busy machine
 * does not take away.
 */
import { writeSync } from "node:fs";
import process from "node:process";
import { workerData } from "node:worker_threads";

export interface Watched {
  /** One number: the seed that the process lives, 0 between two. */
  seed: Int32Array<SharedArrayBuffer>;
  /** Processor time that no seed takes, in seconds. */
  mostSeconds: number;
}

const LOOK_MS = 1000;
/** The stream of a thread goes through the thread that is busy. */
const STDERR = 2;
const { seed, mostSeconds } = workerData as Watched;
let last = 0;
let began = process.cpuUsage();

setInterval(() => {
  const now = Atomics.load(seed, 0);
  if (now !== last) {
    last = now;
    began = process.cpuUsage();
  }
  const { user, system } = process.cpuUsage(began);
  if (now === 0 || (user + system) / 1e6 < mostSeconds) return;
  writeSync(
    STDERR,
    `seed ${now} took ${mostSeconds} s of processor time and does not end: a peer goes round and round without waiting.\n`,
  );
  process.kill(process.pid, "SIGKILL");
}, LOOK_MS);
