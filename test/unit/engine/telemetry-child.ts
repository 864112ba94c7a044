/** Run by `telemetry.test.ts` with a home of its own: computes one step and prints with what. */
import { freshState, records, tinyEngine } from "./support.ts";

const engine = await tinyEngine();
await records(engine, freshState(), 1);
await engine.close();
process.stdout.write(engine.name);
