/**
 * Poisons the clocks and dice of the process: while it is armed, each use is noted with where it came from. Import it
 * before what is to be watched, so that who keeps a function for later keeps the poisoned one.
 */
import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import timers from "node:timers";
import timersPromises from "node:timers/promises";

let noted: string[] | undefined;

function poison(holder: object, name: string, label = name): void {
  const real: unknown = Reflect.get(holder, name);
  if (typeof real !== "function") throw new TypeError(`${label} is no function.`);
  const watched = function (this: unknown, ...args: unknown[]): unknown {
    noted?.push(`${label} ${new Error("used").stack ?? ""}`);
    return new.target === undefined ? Reflect.apply(real, this, args) : Reflect.construct(real, args);
  };
  // `Date` has methods, `setTimeout` its promise.
  Object.setPrototypeOf(watched, real);
  watched.prototype = real.prototype as object;
  Object.defineProperty(holder, name, { value: watched, configurable: true, writable: true });
}

for (const name of ["setTimeout", "setInterval"]) {
  poison(timers, name);
  poison(timersPromises, name, `timers/promises ${name}`);
  poison(globalThis, name);
}
for (const name of ["randomUUID", "randomBytes", "randomInt"]) poison(crypto, name);
for (const name of ["randomUUID", "getRandomValues"]) poison(Crypto.prototype, name, `crypto.${name}`);
poison(Math, "random", "Math.random");
poison(performance, "now", "performance.now");
poison(AbortSignal, "timeout", "AbortSignal.timeout");
poison(Date, "now", "Date.now");
syncBuiltinESMExports();

/** Runs a task; resolves to every use of a real clock or die meanwhile, with its stack. */
export async function usesOfTheRealWorld(task: () => Promise<unknown>): Promise<string[]> {
  const uses: string[] = [];
  noted = uses;
  try {
    await task();
  } finally {
    noted = undefined;
  }
  return uses;
}
