/**
 * `node:test` with a deadline for each test and hook, whose error says what the test still waits for. Tests import
 * `node:test`, and get this: see `preload.ts`. A file in which a test was ended so is left once no other test of it
 * runs, whatever that one has left open.
 */
import process from "node:process";
import * as nodeTest from "node:test";
import { listWaits, pendingWaits } from "./waits.ts";

/** So long that only what would never end is ended, on a slow machine that does other work, too. */
const DEADLINE_MS = 1000 * Number(process.env["TEST_DEADLINE_SECONDS"] ?? 600);
/** Time for the next test to start, and for what was reported to be written. */
const LEAVE_MS = Math.min(60_000, DEADLINE_MS);

listWaits();
/** As they are before a test puts a clock of its own in their place. */
const { setTimeout, clearTimeout } = globalThis;

type Body = (...args: never[]) => unknown;

/** Tests and hooks that run now. */
let running = 0;
let ended = false;
let leaving: NodeJS.Timeout | undefined;

function limited(body: Body): Body {
  return async (...args) => {
    limitContext(args[0]);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        ended = true;
        const waits = pendingWaits().join("; for ");
        reject(
          new Error(`no end after ${DEADLINE_MS / 1000} s; it waits for ${waits || "what has no name"}`),
        );
      }, DEADLINE_MS);
    });
    running++;
    clearTimeout(leaving);
    try {
      return await Promise.race([body(...args), late]);
    } finally {
      clearTimeout(timer);
      running--;
      // What it holds open would keep the process alive; it has failed, so nothing is hidden.
      if (ended && running === 0) leaving = setTimeout(() => process.exit(1), LEAVE_MS).unref();
    }
  };
}

const REGISTERS = ["after", "before", "beforeEach", "afterEach", "test"] as const;
const limitedContexts = new WeakSet<object>();

/** What a test registers on its context has a deadline, too. */
function limitContext(context: unknown): void {
  if (typeof context !== "object" || context === null || limitedContexts.has(context)) return;
  limitedContexts.add(context);
  for (const name of REGISTERS) {
    const register: unknown = Reflect.get(context, name);
    if (typeof register === "function")
      Object.defineProperty(context, name, { value: limiting(register.bind(context) as Body) });
  }
}

/** The same function with a deadline for the functions that it is given. */
function limiting<F extends (...args: never[]) => unknown>(register: F): F {
  const limit = (arg: unknown): unknown => (typeof arg === "function" ? limited(arg as Body) : arg);
  const limitedRegister = (...args: unknown[]) => register(...(args.map(limit) as Parameters<F>));
  return Object.assign(limitedRegister, register);
}

export const { describe, suite, mock } = nodeTest;
export const test = limiting(nodeTest.test);
export const it = test;
export const before = limiting(nodeTest.before);
export const after = limiting(nodeTest.after);
export const beforeEach = limiting(nodeTest.beforeEach);
export const afterEach = limiting(nodeTest.afterEach);
export default test;
