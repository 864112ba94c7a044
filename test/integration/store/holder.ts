/** A process that holds a pack of reproducible bytes: `node holder.ts <dir> <seed> <bytes>`. */
import { writePack } from "../../../src/store/pack.ts";
import { noise, openPeer } from "./support.ts";

const [dir, seed, byteLength] = process.argv.slice(2);
const { store, network } = await openPeer({ after() {} }, dir!);
const bytes = noise(Number(seed), Number(byteLength));
const cid = await writePack(store, {
  codec: "int8",
  tensors: [{ name: "w", shape: [bytes.byteLength] }],
  bytes,
});
const port = Number(/tcp\/(\d+)/.exec(network.addresses()[0]!)![1]);
process.stdout.write(`${JSON.stringify({ peer: network.peerId, port, cid: cid.toString() })}\n`);
// Ends with whoever started it, however that ends.
process.stdin.on("close", () => process.exit()).resume();
