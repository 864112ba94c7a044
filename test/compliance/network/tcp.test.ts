/** The real network does what every network must, over TCP on loopback. */
import { join } from "node:path";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { gossipScore, type GossipSub } from "../../../src/net/gossip.ts";
import { LOOPBACK } from "../../integration/net/support.ts";
import { openPeer } from "../../integration/store/support.ts";
import { awaited } from "../../waits.ts";
import { complies } from "./scenarios.ts";

/** What may change a condition; gossipsub's heartbeat comes every second. */
const LIBP2P_EVENTS = ["peer:connect", "peer:disconnect", "connection:open", "connection:close"] as const;

complies("TCP", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "pathweave-compliance-"));
  const stops: (() => Promise<void>)[] = [];
  t.after(async () => {
    await Promise.all(stops.map((stop) => stop()));
    await rm(folder, { recursive: true, force: true });
  });
  const changes = new EventTarget();
  const changed = (): void => void changes.dispatchEvent(new Event("change"));
  return {
    async start({ bootstrap = [], records = {}, listens = true } = {}) {
      const dir = join(folder, String(stops.length));
      const options = { bootstrap, records, listen: listens ? [LOOPBACK] : [] };
      const { network, store, libp2p, stop } = await openPeer({ after() {} }, dir, options);
      stops.push(stop);
      const pubsub = libp2p.services.pubsub as GossipSub & { streamsOutbound: ReadonlyMap<string, unknown> };
      for (const event of LIBP2P_EVENTS) libp2p.addEventListener(event, changed);
      for (const event of ["gossipsub:heartbeat", "message", "subscription-change"] as const)
        pubsub.addEventListener(event, changed);
      return {
        network,
        store,
        say: async (topic, data) => void (await pubsub.publish(topic, data)),
        audience: (topic) => network.subscribers(topic).filter((peer) => pubsub.streamsOutbound.has(peer)),
        score: (peer) => gossipScore(pubsub, peer),
        stop,
      };
    },
    async until(condition) {
      if (condition()) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const check = (): void => {
        if (condition()) resolve();
      };
      changes.addEventListener("change", check);
      await awaited(`until ${String(condition)}`, promise);
      changes.removeEventListener("change", check);
    },
    timeout: (milliseconds) => AbortSignal.timeout(milliseconds),
  };
});
