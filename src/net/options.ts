/** How a Pathweave node is built from libp2p's parts, and why its settings differ from the defaults. */
import { type Identify, identify, type IdentifyPush, identifyPush } from "@libp2p/identify";
import type { ConnectionProtector, PeerDiscovery } from "@libp2p/interface";
import { type KadDHT, kadDHT, passthroughMapper } from "@libp2p/kad-dht";
import { mdns } from "@libp2p/mdns";
import { noise } from "@libp2p/noise";
import { type Ping, ping } from "@libp2p/ping";
import { tcp } from "@libp2p/tcp";
import { webSockets } from "@libp2p/websockets";
import { yamux } from "@libp2p/yamux";
import type { Multiaddr } from "@multiformats/multiaddr";
import type { Libp2pOptions } from "libp2p";
import { connectionGater } from "./admission.ts";
import { createBandwidthLimit } from "./bandwidth.ts";
import { ADDRESS_DIAL_MS } from "./dial-failure.ts";
import { type GossipSub, gossipService } from "./gossip.ts";
import { thisMachine } from "./machine.ts";
import { AGENT } from "./other-protocols.ts";
import { Reach } from "./reach.ts";
import { recordRules } from "./records.ts";
import { Relays, relayTransport } from "./relays.ts";
import { dialRank, isRelayed, sharedAddresses } from "./scope.ts";
import { swarmKeyProtector } from "./swarm-key.ts";
import type { NodeConfig } from "./types.ts";

/**
 * Runs of every kind share one DHT; a run is a CID in it. Its name is not of our protocol but of libp2p's, so that peers
 * of different versions meet, and can tell.
 */
const DHT_PROTOCOL = "/pathweave/kad/1.0.0";
const MAX_CONNECTIONS = 200;

// Types, not interfaces: libp2p wants an index signature.
/** What every node runs, bootstrap nodes too. */
export type BaseServices = {
  identify: Identify;
  identifyPush: IdentifyPush;
  ping: Ping;
  dht: KadDHT;
  reach: Reach;
  relays: Relays;
};
export type Services = BaseServices & { pubsub: GossipSub };

/** Everything but the services. Throws UsageError when the swarm key is malformed. */
export function baseOptions(config: NodeConfig): Omit<Libp2pOptions, "services"> {
  const protector = connectionProtector(config);
  return {
    privateKey: config.privateKey,
    nodeInfo: { userAgent: AGENT },
    addresses: {
      // What is said there of relays is for `Relays`.
      listen: config.listen.filter((address) => !isRelayed(address)),
      announce: config.announce,
      announceFilter: (addresses) => sharedAddresses(addresses, thisMachine()),
    },
    transports: [tcp(), webSockets(), relayTransport()],
    connectionEncrypters: [noise()],
    // A window above the 4 MiB read buffer would reset paused streams.
    streamMuxers: [yamux({ streamOptions: { maxStreamWindowSize: 2 << 20 } })],
    ...(protector === undefined ? {} : { connectionProtector: () => protector }),
    ...(config.admission === undefined ? {} : { connectionGater: connectionGater(config.admission) }),
    ...(config.mdns ? { peerDiscovery: [localDiscovery] } : {}),
    connectionManager: {
      maxConnections: config.maxConnections ?? MAX_CONNECTIONS,
      // New connections per second and address; several peers may share an address.
      inboundConnectionThreshold: 50,
      maxIncomingPendingConnections: 50,
      addressDialTimeout: ADDRESS_DIAL_MS,
      addressSorter: compareAddresses,
    },
    // On a slow link the ping waits behind blocks; the default of 5 s cuts the connection over and over.
    // A dead peer is still noticed, in about 70 s.
    connectionMonitor: { pingTimeout: { minTimeout: 60_000, maxTimeout: 120_000 } },
  };
}

export function baseServices(config: NodeConfig): Libp2pOptions<BaseServices>["services"] & object {
  let reach: Reach;
  return {
    reach: (components) => (reach = new Reach(components, config.listen)),
    relays: (components) => new Relays(components, config, () => reach),
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

/** The address that is dialled first comes first; plain TCP before WebSockets. */
function compareAddresses(a: { multiaddr: Multiaddr }, b: { multiaddr: Multiaddr }): -1 | 0 | 1 {
  const machine = thisMachine();
  const rank = ({ multiaddr: address }: { multiaddr: Multiaddr }): number =>
    2 * dialRank(address, machine) + (address.toString().includes("/ws") ? 1 : 0);
  const [first, second] = [rank(a), rank(b)];
  if (first === second) return 0;
  return first < second ? -1 : 1;
}

/** The options of a peer. */
export function libp2pOptions(config: NodeConfig): Libp2pOptions<Services> {
  return {
    ...baseOptions(config),
    services: { ...baseServices(config), pubsub: gossipService() },
  };
}

/** What is done to every raw connection: a cap on its bytes, and encryption with the key of a private swarm. */
function connectionProtector({
  swarmKey,
  bytesPerSecond,
  clock,
}: NodeConfig): ConnectionProtector | undefined {
  const privacy = swarmKey === undefined ? undefined : swarmKeyProtector(swarmKey);
  if (bytesPerSecond === undefined) return privacy;
  const limit = createBandwidthLimit(bytesPerSecond, clock);
  return {
    async protect(connection, options) {
      // Bytes of a relayed connection are counted where they travel, on the connection to the relay.
      if (!("remoteAddr" in connection && isRelayed(String(connection.remoteAddr)))) limit(connection);
      return privacy === undefined ? connection : privacy.protect(connection, options);
    },
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
