/** Loaded before the tests (`node --import ./test/preload.ts --test`): they get `deadline.ts` where they import `node:test`. */
import { registerHooks } from "node:module";

const deadline = new URL("deadline.ts", import.meta.url).href;

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === "node:test" && context.parentURL?.endsWith(".test.ts") === true
      ? { url: deadline, shortCircuit: true }
      : next(specifier, context),
});
