/** Trains a tiny network with the default engine and prints, as JSON, what computed and with what losses. */
import { createEngine, DEFAULT_DEVICE } from "../../../src/engine/engine.ts";
import { BATCH_SIZE, freshState, lossesOf, records, shape } from "./support.ts";

const engine = await createEngine({ shape, batchSize: BATCH_SIZE, ...DEFAULT_DEVICE });
const again = await createEngine({ shape, batchSize: BATCH_SIZE, ...DEFAULT_DEVICE });
const losses = lossesOf(await records(engine, freshState(), 4));
await Promise.all([engine.close(), again.close()]);
process.stdout.write(JSON.stringify({ name: engine.name, losses }));
