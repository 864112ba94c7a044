/** How a Pathweave node is built from libp2p's parts, and why its settings differ from the defaults. */
import { circuitRelayTransport } from "@libp2p/circuit-relay-v2";
import { type Identify, identify, type IdentifyPush, identifyPush } from "@libp2p/identify";
import type { PeerDiscovery } from "@libp2p/interface";
import { type KadDHT, kadDHT, passthroughMapper } from "@libp2p/kad-dht";
import { mdns } from "@libp2p/mdns";
import { noise } from "@libp2p/noise";
import { type Ping, ping } from "@libp2p/ping";
import { tcp } from "@libp2p/tcp";
import { webSockets } from "@libp2p/websockets";
import { yamux } from "@libp2p/yamux";
import type { Multiaddr } from "@multiformats/multiaddr";
import type { Libp2pOptions } from "libp2p";
import { UsageError } from "../errors.ts";
import { type GossipSub, gossipService } from "./gossip.ts";
import { recordRules } from "./records.ts";
import type { NodeConfig } from "./types.ts";

/** Runs of every kind share one DHT; a run is a CID in it. */
export const DHT_PROTOCOL = "/pathweave/kad/1.0.0";

// Types, not interfaces: libp2p wants an index signature.
/** What every node runs, bootstrap nodes too. */
export type BaseServices = { identify: Identify; identifyPush: IdentifyPush; ping: Ping; dht: KadDHT };
export type Services = BaseServices & { pubsub: GossipSub };

/** Everything but the services. Listen on `/p2p-circuit` too to be reachable through a relay. */
export function baseOptions(config: NodeConfig): Omit<Libp2pOptions, "services"> {
  if (config.swarmKey !== undefined)
    throw new UsageError("This build has no private networks; leave the swarm key out.");
  return {
    privateKey: config.privateKey,
    addresses: {
      listen: config.listen,
      // Public addresses are not advertised until somebody confirms them, so announce them.
      announce: config.announce,
    },
    transports: [tcp(), webSockets(), circuitRelayTransport()],
    connectionEncrypters: [noise()],
    // A window above the 4 MiB read buffer would reset paused streams.
    streamMuxers: [yamux({ streamOptions: { maxStreamWindowSize: 2 << 20 } })],
    ...(config.mdns ? { peerDiscovery: [localDiscovery] } : {}),
    connectionManager: {
      maxConnections: 200,
      // New connections per second and address; several peers may share an address.
      inboundConnectionThreshold: 50,
      maxIncomingPendingConnections: 50,
    },
    // On a slow link the ping waits behind blocks; the default of 5 s cuts the connection over and over.
    // A dead peer is still noticed, in about 70 s.
    connectionMonitor: { pingTimeout: { minTimeout: 60_000, maxTimeout: 120_000 } },
  };
}

export function baseServices(config: NodeConfig): Libp2pOptions<BaseServices>["services"] & object {
  return {
    identify: identify(),
    identifyPush: identifyPush(),
    // Parallel pings throw with the default of 1.
    ping: ping({ maxOutboundStreams: 8 }),
    dht: kadDHT({
      protocol: DHT_PROTOCOL,
      // Left out, it would serve only after a public address is confirmed.
      clientMode: false,
      // The default drops private addresses, on which whole swarms live.
      peerInfoMapper: passthroughMapper,
      ...recordRules(config.records),
    }),
  };
}

/** The options of a peer. */
export function libp2pOptions(config: NodeConfig): Libp2pOptions<Services> {
  return {
    ...baseOptions(config),
    services: { ...baseServices(config), pubsub: gossipService() },
  };
}

/** mDNS only tells of peers; this also dials them. */
function localDiscovery(components: Parameters<ReturnType<typeof mdns>>[0] & Dials): PeerDiscovery {
  const discovery = mdns({ serviceTag: "_pathweave._udp.local" })(components);
  discovery.addEventListener("peer", ({ detail }) => {
    components.connectionManager.openConnection(detail.multiaddrs).catch(() => {
      // It is announced again; addresses of other networks are expected to fail.
    });
  });
  return discovery;
}
interface Dials {
  connectionManager: { openConnection(addresses: Multiaddr[]): Promise<unknown> };
}
