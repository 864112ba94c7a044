/** Messages between an engine and its worker thread. */
import type { ChosenExecutor } from "./choose-executor.ts";
import type { DeviceState, Steps, StepsResult } from "./executor.ts";
import type { EngineConfig } from "./types.ts";

export interface WorkerData {
  config: EngineConfig;
  threads: number;
}

type Forward = { parameters: Float32Array; tokens: Int32Array; other: Float32Array | Int32Array };

/** Request and result of each method. */
interface Methods {
  start: { request: object; result: Omit<ChosenExecutor, "executor"> };
  begin: { request: { training: number; state: DeviceState }; result: void };
  run: { request: { training: number; steps: Steps }; result: StepsResult };
  end: { request: { training: number; keep: boolean }; result: DeviceState | null };
  score: { request: Forward; result: Float32Array };
  logits: { request: Forward; result: Float32Array };
  features: { request: Forward; result: Float32Array };
  close: { request: object; result: void };
}

export type Method = keyof Methods;
export type ArgumentsOf<M extends Method> = Methods[M]["request"];
export type RequestOf<M extends Method> = { id: number; method: M } & ArgumentsOf<M>;
export type ResultOf<M extends Method> = Methods[M]["result"];
export type Request = { [M in Method]: RequestOf<M> }[Method];

export interface Reply {
  id: number;
  result?: unknown;
  error?: { name: string; message: string; stack?: string | undefined };
}
