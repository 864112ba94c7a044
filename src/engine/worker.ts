/** The worker thread of an engine: one request at a time, in order. */
import { parentPort, workerData } from "node:worker_threads";
import { chooseExecutor } from "./choose-executor.ts";
import type { DeviceState, Training } from "./executor.ts";
import type { Reply, Request, RequestOf, ResultOf, WorkerData } from "./protocol.ts";

const port = parentPort!;
const { config, threads } = workerData as WorkerData;
const chosen = chooseExecutor(config, threads);
const executor = chosen.then((choice) => choice.executor);
const trainings = new Map<number, Training>();

function training(id: number): Training {
  const found = trainings.get(id);
  if (found === undefined) throw new Error(`No training ${id} is open.`);
  return found;
}

type Handlers = { [M in Request["method"]]: (request: RequestOf<M>) => Promise<ResultOf<M>> };

const handlers: Handlers = {
  start: async () => {
    const { name, notice } = await chosen;
    return { name, notice };
  },
  begin: async ({ training: id, state }) => {
    trainings.set(id, await (await executor).openTraining(state));
  },
  run: ({ training: id, steps }) => training(id).run(steps),
  end: async ({ training: id, keep }) => {
    const state = keep ? await training(id).state() : null;
    trainings.get(id)?.dispose();
    trainings.delete(id);
    return state;
  },
  score: async ({ parameters, tokens, other }) =>
    (await executor).score(parameters, tokens, other as Float32Array),
  logits: async ({ parameters, tokens, other }) =>
    (await executor).logits(parameters, tokens, other as Int32Array),
  features: async ({ parameters, tokens, other }) =>
    (await executor).features(parameters, tokens, other as Float32Array),
  close: async () => {
    // An executor that never started has nothing to free.
    await executor.then(
      ({ close }) => close(),
      () => {},
    );
  },
};

async function answer(request: Request): Promise<void> {
  try {
    const handle = handlers[request.method] as (request: Request) => Promise<unknown>;
    const result = await handle(request);
    post({ id: request.id, result }, request.method === "end" ? buffersOf(result as DeviceState | null) : []);
  } catch (error) {
    const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
    post({ id: request.id, error: { name, message, stack } });
  }
  if (request.method === "close") port.close();
}

function post(reply: Reply, transfer: ArrayBuffer[] = []): void {
  port.postMessage(reply, transfer);
}

function buffersOf(state: DeviceState | null): ArrayBuffer[] {
  return state === null ? [] : Object.values(state).map(({ buffer }) => buffer as ArrayBuffer);
}

let last = Promise.resolve();
port.on("message", (request: Request) => {
  last = last.then(() => answer(request));
});
// A failed start is reported by the request that waits for it.
executor.catch(() => {});
