/**
 * `node:test` with a deadline for each test and hook, whose error says what the test still waits for. Tests import
 * `node:test`, and get this: see `preload.ts`.
 */
import process from "node:process";
import * as nodeTest from "node:test";
import { listWaits, pendingWaits } from "./waits.ts";

/** So long that only what would never end is ended, on a slow machine that does other work, too. */
const DEADLINE_MS = 1000 * Number(process.env["TEST_DEADLINE_SECONDS"] ?? 600);

listWaits();
/** As they are before a test puts a clock of its own in their place. */
const { setTimeout, clearTimeout } = globalThis;

type Body = (...args: never[]) => unknown;

function limited(body: Body): Body {
  return async (...args) => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const waits = pendingWaits().join("; for ");
        reject(
          new Error(`no end after ${DEADLINE_MS / 1000} s; it waits for ${waits || "what has no name"}`),
        );
      }, DEADLINE_MS);
    });
    try {
      return await Promise.race([body(...args), late]);
    } finally {
      clearTimeout(timer);
    }
  };
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
