/** The network of the simulation does what every network must, in virtual time. */
import { generateKeyPairFromSeed } from "@libp2p/crypto/keys";
import { delay, timeout } from "../../../src/clock.ts";
import { createRandom } from "../../../src/random.ts";
import { MemoryDisk } from "../../../src/sim/world/disk.ts";
import { MemoryNetwork } from "../../../src/sim/world/network.ts";
import { Timeline } from "../../../src/sim/world/timeline.ts";
import { openStore } from "../../../src/store/store.ts";
import { complies } from "./scenarios.ts";

complies("memory", (t) => {
  const clock = new Timeline();
  const random = createRandom("compliance");
  const net = new MemoryNetwork({ clock, random });
  let ended = false;
  t.after(() => (ended = true));
  // Time goes on as long as the scenario does.
  void clock.run(Number.MAX_SAFE_INTEGER, () => ended);
  let members = 0;
  return {
    async start({ bootstrap = [], records = {}, listens = true } = {}) {
      const privateKey = await generateKeyPairFromSeed("Ed25519", new Uint8Array(32).fill(++members));
      const peer = net.join({ privateKey, bootstrap, records, listens });
      const { files, database } = new MemoryDisk({ clock, random });
      const { store } = await openStore({ files, database, clock, source: (blocks) => peer.source(blocks) });
      return {
        network: peer.network,
        store,
        say: async (topic, data) => void peer.say(topic, data),
        audience: (topic) => peer.audience(topic),
        score: (who) => peer.score(who),
        stop: async () => net.kill(peer.name),
      };
    },
    async until(condition) {
      while (!condition()) await delay(clock, 10);
    },
    timeout: (milliseconds) => timeout(clock, milliseconds),
  };
});
