/** Loaded before the tests (`node --import ./test/preload.ts --test`): they get `deadline.ts` where they import `node:test`. */
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

// Hundreds of processes load the same thousands of modules, and compile them once so.
process.env["NODE_COMPILE_CACHE"] ??= fileURLToPath(
  new URL("../node_modules/.cache/compiled", import.meta.url),
);

const deadline = new URL("deadline.ts", import.meta.url).href;

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === "node:test" && context.parentURL?.endsWith(".test.ts") === true
      ? { url: deadline, shortCircuit: true }
      : next(specifier, context),
});
