/**
 * A rendezvous and relay: a DHT server that introduces peers to each other, and a relay for those that
 * cannot be dialled. It takes part in no run, keeps no block and loads neither tfjs nor Helia. Running
 * swarms do not need it.
 */
import { type CircuitRelayService, circuitRelayServer } from "@libp2p/circuit-relay-v2";
import type { Libp2p } from "@libp2p/interface";
import { systemClock } from "../src/clock.ts";
import { createNode } from "../src/net/network.ts";
import { baseOptions, type BaseServices, baseServices } from "../src/net/options.ts";
import { sizeOnlyRecords } from "../src/net/records.ts";
import { HEAD_NAMESPACE } from "../src/swarm/sync/head-record.ts";
import type { NodeConfig } from "../src/net/types.ts";

const MAX_CONNECTIONS = 2_000;
const MAX_RESERVATIONS = 500;

export interface BootstrapConfig extends Pick<NodeConfig, "privateKey" | "listen" | "announce" | "swarmKey"> {
  /** Validators of DHT records by namespace; by default only sizes are checked. */
  records?: NodeConfig["records"];
}

type BootstrapServices = BaseServices & { relay: CircuitRelayService };

export interface BootstrapNode {
  readonly libp2p: Libp2p<BootstrapServices>;
  /** Own multiaddrs with the peer id, ready to be dialled. */
  addresses(): string[];
  stop(): Promise<void>;
}

/** Starts a bootstrap node. Throws NetworkError when it cannot listen. */
export async function startBootstrapNode(config: BootstrapConfig): Promise<BootstrapNode> {
  const nodeConfig: NodeConfig = {
    ...config,
    clock: systemClock,
    bootstrap: [],
    mdns: false,
    records: config.records ?? { [HEAD_NAMESPACE]: sizeOnlyRecords },
  };
  const options = baseOptions(nodeConfig);
  const libp2p = await createNode<BootstrapServices>({
    ...options,
    connectionManager: { ...options.connectionManager, maxConnections: MAX_CONNECTIONS },
    services: {
      ...baseServices(nodeConfig),
      // Without limits: the default of 128 KiB in 2 minutes would cut a connection in its first block. A limit,
      // should it ever be wanted, is a BigInt (`defaultDataLimit: 1n << 30n`); a Number crashes the relay.
      relay: circuitRelayServer({
        reservations: { maxReservations: MAX_RESERVATIONS, applyDefaultLimit: false },
      }),
    },
  });
  await libp2p.start();
  return {
    libp2p,
    addresses: () => libp2p.getMultiaddrs().map((address) => address.toString()),
    async stop() {
      await libp2p.stop();
    },
  };
}
