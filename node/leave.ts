/** Ends the process, also while an engine computes. */
import { INTERRUPTS, type Interrupt } from "../src/errors.ts";
import { isNativeBusy, nativeIdle } from "../src/native-work.ts";

/**
 * Ends the process with an exit code, after the listeners of `exit`. While an engine computes, `process.exit` would wait
 * for it and then abort the process with words of C++. So an interruption, of a code above 128, is then a death by its
 * signal, which a shell shows as the same code; any other end waits until the engine is idle.
 */
export function leave(code: number): void {
  if (!isNativeBusy()) process.exit(code);
  const signal = (Object.keys(INTERRUPTS) as Interrupt[]).find((name) => 128 + INTERRUPTS[name] === code);
  if (signal !== undefined && process.platform !== "win32") {
    process.emit("exit", code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  }
  // The first process of a container hears no signal that it has no handler for.
  void nativeIdle().then(() => process.exit(code));
}
