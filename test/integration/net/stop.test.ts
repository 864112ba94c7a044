import assert from "node:assert/strict";
import { test } from "node:test";
import { identify } from "@libp2p/identify";
import { NetworkError } from "../../../src/errors.ts";
import { createNode } from "../../../src/net/network.ts";
import { baseOptions } from "../../../src/net/options.ts";
import { nodeConfig, startPeer } from "./support.ts";

test("a node of which a part never stops is stopped all the same, says so, and cuts its connections", async (t) => {
  const options = baseOptions(await nodeConfig());
  const stuck = () => ({ start: () => {}, stop: () => new Promise<void>(() => {}) });
  const node = await createNode({ ...options, services: { identify: identify(), stuck } });
  await node.start();
  const other = await startPeer(t);
  await node.dial(other.libp2p.getMultiaddrs());
  await assert.rejects(Promise.resolve(node.stop()), (error) => {
    assert.ok(error instanceof NetworkError);
    assert.match(error.message, /^The network did not stop within 5 s; its connections are cut\.$/);
    return true;
  });
  assert.ok(node.getConnections().every(({ status }) => status !== "open"));
});
