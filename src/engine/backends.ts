/** The one place where tfjs is set up: which backend computes. */
import * as tf from "@tensorflow/tfjs-core";
import { CapacityError, messageOf } from "../errors.ts";

// Production mode keeps tfjs from printing advice to the terminal.
tf.enableProdMode();

/** The npm package of each tfjs backend; `tensorflow` tries the GPU build first. */
const PACKAGES: Record<string, string[]> = {
  cpu: ["@tensorflow/tfjs-backend-cpu"],
  wasm: ["@tensorflow/tfjs-backend-wasm"],
  tensorflow: ["@tensorflow/tfjs-node-gpu", "@tensorflow/tfjs-node"],
};

/**
 * Loads a tfjs backend and makes it current.
 * Throws CapacityError, with the npm command, when its package is not installed or does not start.
 */
export async function selectBackend(name: string): Promise<void> {
  const packages = PACKAGES[name];
  if (packages === undefined)
    throw new CapacityError(
      `There is no eager device ${name}; choose one of ${Object.keys(PACKAGES).join(", ")}.`,
    );
  const failures: string[] = [];
  for (const specifier of packages)
    try {
      await import(specifier);
      if (await tf.setBackend(name)) return;
      failures.push(`${specifier}: did not start`);
    } catch (error) {
      failures.push(`${specifier}: ${messageOf(error)}`);
    }
  throw new CapacityError(
    `The eager device ${name} needs a package: npm install ${packages.join(" (or ")}${packages.length > 1 ? ")" : ""}. Tried ${failures.join("; ")}.`,
  );
}

/** Registers a backend of ours and makes it current. */
export function useBackend(name: string, backend: tf.KernelBackend): void {
  if (tf.findBackend(name) === null) tf.registerBackend(name, () => backend);
  // Current at once, since the factory is synchronous.
  void tf.setBackend(name);
}
