/** Donors that answer a dial and then nothing, or a byte at a time: nobody waits for them who can be served by others. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { NetworkError } from "../../../src/errors.ts";
import { MAX_BLOCK_BYTES } from "../../../src/objects/object.ts";
import { writeChunks } from "../../../src/store/pack.ts";
import { startPeer, temporaryDirectory, type TestPeer } from "../net/support.ts";
import { noise, openPeer } from "./support.ts";

const BITSWAP = "/ipfs/bitswap/1.2.0";
const PROTOCOL = "/pathweave/test/1";

/** Takes every stream and reads it, and answers nothing, or one byte a second of a message that never ends. */
async function startHanging(t: TestContext, how: "mute" | "dribbling"): Promise<TestPeer> {
  const peer = await startPeer(t);
  for (const protocol of [BITSWAP, PROTOCOL])
    await peer.libp2p.handle(protocol, (stream) => {
      if (how === "mute") return;
      stream.send(Uint8Array.of(0xff, 0xff, 0x01));
      // While the other side closes it, there is no event yet, and nothing may be sent any more.
      const timer = setInterval(() => stream.status === "open" && stream.send(Uint8Array.of(0)), 1000);
      stream.addEventListener("close", () => clearInterval(timer));
    });
  return peer;
}

test("a joiner gets everything from the good donor, and the hanging ones get their wants back", async (t) => {
  const dir = await temporaryDirectory(t);
  const [mute, dribbling] = [await startHanging(t, "mute"), await startHanging(t, "dribbling")];
  const good = await openPeer(t, join(dir, "good"));
  const bytes = noise(21, 12 * MAX_BLOCK_BYTES);
  const cids = await writeChunks(good.store, bytes);
  const joiner = await openPeer(t, join(dir, "joiner"), { listen: [] });
  const donors = [mute.network, dribbling.network, good.network];
  for (const { addresses } of donors) await joiner.network.dial(addresses()[0]!);

  await joiner.store.fetch(cids, { holders: donors.map(({ peerId }) => peerId) });

  for (const cid of cids) assert.ok(await joiner.store.has(cid));
  assert.equal(joiner.store.transferred.bytesIn, bytes.byteLength, "each block once");
  assert.deepEqual(joiner.store.fetches(), []);
});

for (const how of ["mute", "dribbling"] as const)
  test(`a request to a ${how} peer ends with its deadline and says what it was`, async (t) => {
    const hanging = await startHanging(t, how);
    const { network } = await startPeer(t, { listen: [] });
    await network.dial(hanging.network.addresses()[0]!);
    await assert.rejects(
      network.request(hanging.network.peerId, PROTOCOL, Uint8Array.of(1), AbortSignal.timeout(1500)),
      (error) => {
        assert.ok(error instanceof NetworkError);
        assert.match(
          error.message,
          /^Asking 12D3\w+ for \/pathweave\/test\/1 took longer than it was given\.$/,
        );
        return true;
      },
    );
  });
