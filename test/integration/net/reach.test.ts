/** What a node believes of how others see it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startPeer, until } from "./support.ts";

test("who was dialled is believed what it sees, who dials is not", async (t) => {
  const [dialler, dialled] = await Promise.all([startPeer(t), startPeer(t)]);
  const identified = [dialler, dialled].map(({ libp2p }) => {
    let done = false;
    libp2p.addEventListener("peer:identify", () => (done = true), { once: true });
    return until(libp2p, "peer:identify", () => done);
  });
  await dialler.network.dial(dialled.network.addresses()[0]!);
  await Promise.all(identified);
  assert.deepEqual([...dialler.libp2p.services.reach.seen], ["127.0.0.1"]);
  assert.deepEqual([...dialled.libp2p.services.reach.seen], []);
});
