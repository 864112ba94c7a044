/** Calls into a worker thread: a request, its reply, and failures of the thread itself. */
import { Worker } from "node:worker_threads";
import * as errors from "../errors.ts";
import { nativeWork } from "../native-work.ts";
import { moduleUrl } from "../installation.ts";
import type { ArgumentsOf, Method, Reply, ResultOf, WorkerData } from "./protocol.ts";

/**
 * ONNX Runtime else reports its use to Microsoft, and leaves an id of the machine in the user's home. Its code reads the
 * environment of the process, which only the main thread can change.
 */
process.env["ORT_DISABLE_TELEMETRY"] ??= "1";

interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** An engine's worker thread as seen from outside it. */
export interface Thread {
  call<M extends Method>(method: M, request: ArgumentsOf<M>, transfer?: ArrayBuffer[]): Promise<ResultOf<M>>;
  /** Resolves when the thread has ended. */
  close(): Promise<void>;
}

/** The error a worker reported, as the class of `src/errors.ts` that it was. */
function revive({ name, message, stack }: NonNullable<Reply["error"]>): Error {
  const known = (errors as unknown as Record<string, new (message: string) => Error>)[name];
  const error = name.endsWith("Error") && known !== undefined ? new known(message) : new Error(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}

export function startThread(workerData: WorkerData): Thread {
  const worker = new Worker(moduleUrl("./worker.ts", import.meta.url), { workerData });
  const pending = new Map<number, Pending>();
  let calls = 0;
  let ended: Error | undefined;
  const fail = (error: Error): void => {
    ended ??= error;
    for (const { reject } of pending.values()) reject(ended);
    pending.clear();
  };
  const exit = new Promise<void>((resolve) => {
    worker.on("exit", (code) => {
      fail(new Error(code === 0 ? "The engine is closed." : `The engine's thread ended with code ${code}.`));
      resolve();
    });
  });
  worker.on("error", (error) => fail(error instanceof Error ? error : new Error(String(error))));
  worker.on("message", ({ id, result, error }: Reply) => {
    const call = pending.get(id);
    pending.delete(id);
    if (error === undefined) call?.resolve(result);
    else call?.reject(revive(error));
  });

  const call: Thread["call"] = (method, request, transfer = []) =>
    nativeWork(
      new Promise((resolve, reject) => {
        if (ended !== undefined) {
          reject(ended);
          return;
        }
        const id = calls++;
        pending.set(id, { resolve: resolve, reject });
        worker.postMessage({ id, method, ...request }, transfer);
      }),
    );
  return {
    call,
    async close() {
      if (ended === undefined) await call("close", {});
      await exit;
    },
  };
}
