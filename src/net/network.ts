/**
 * The libp2p node and the network as the swarm sees it.
 *
 * @example
 * const libp2p = await createNode(libp2pOptions(config), datastore);
 * const network = createNetwork(libp2p, config, log);
 * await libp2p.start(); // network dials the bootstraps
 */
import type { Connection, Libp2p, ServiceMap } from "@libp2p/interface";
import { createLibp2p, type Libp2pOptions } from "libp2p";
import { systemClock } from "../clock.ts";
import { messageOf, NetworkError } from "../errors.ts";
import { type Logger, silentLogger } from "../log.ts";
import { endsWithin } from "../within.ts";
import { peerOfAddress } from "./addresses.ts";
import { createBlocking } from "./blocking.ts";
import { dropStrangers, serveMembersOnly } from "./admission.ts";
import { createBootstrapDialer } from "./bootstrap-dialer.ts";
import type { DialFailure } from "./dial-failure.ts";
import { createDialler } from "./dialler.ts";
import { createGossip } from "./gossip.ts";
import { thisMachine } from "./machine.ts";
import type { Services } from "./options.ts";
import { createOtherProtocols } from "./other-protocols.ts";
import { orderAddresses } from "./order-addresses.ts";
import { relaysOf } from "./relay-need.ts";
import { createRequests } from "./requests.ts";
import { createRouting } from "./routing.ts";
import type { Network, NodeConfig } from "./types.ts";

/** libp2p gives each connection half a second to close, but not every part of it has a deadline. */
const STOP_DEADLINE_MS = 5_000;

/** A network that also tells how joining goes. */
export interface SwarmNetwork extends Network {
  /** Addresses that were tried and whose peers are not connected, and why: of bootstraps, then of others. */
  dialReport(): DialFailure[];
  /** The best addresses for an invite, of this peer and of its bootstraps; see `orderAddresses`. */
  inviteAddresses(most: number): string[];
  /** Addresses of this peer through the relays that it has a place at. */
  relayAddresses(): string[];
  /** Calls the listener when something changes of how others reach this peer. */
  onReach(listener: () => void): () => void;
  /** From now on only these peers take part; connections of others are closed. Needs `admission` in the configuration. */
  restrict(members: Iterable<string>): void;
}

/**
 * Constructs a libp2p node, not started, that keeps its peers and records in `datastore` (in memory
 * when absent). Its `start` throws NetworkError when it cannot listen, its `stop` when it takes too long; its
 * connections are cut then.
 */
export async function createNode<S extends ServiceMap>(
  options: Libp2pOptions<S>,
  datastore?: NonNullable<Libp2pOptions["datastore"]>,
): Promise<Libp2p<S>> {
  const node = await createLibp2p<S>({
    ...options,
    ...(datastore === undefined ? {} : { datastore }),
    start: false,
  });
  const start = node.start.bind(node);
  // Whoever starts the node gets one line that says what to do instead of libp2p's ten.
  node.start = async () => {
    try {
      await start();
    } catch (error) {
      await Promise.resolve(node.stop()).catch(() => {});
      throw listenError(error);
    }
  };
  const stop = node.stop.bind(node);
  node.stop = async () => {
    if (await endsWithin(STOP_DEADLINE_MS, Promise.resolve(stop()), systemClock)) return;
    const late = new NetworkError(
      `The network did not stop within ${STOP_DEADLINE_MS / 1000} s; its connections are cut.`,
    );
    for (const connection of node.getConnections()) connection.abort(late);
    throw late;
  };
  return node;
}

function listenError(error: unknown): NetworkError {
  const message = messageOf(error);
  const busy = /EADDRINUSE[^:]*: address already in use \S*?:(\d+)/.exec(message);
  const denied = /EACCES[^:]*: permission denied \S*?:(\d+)/.exec(message);
  const absent = /EADDRNOTAVAIL[^:]*: address not available (\S+):\d+/.exec(message);
  let reason = `The node cannot listen: ${message}`;
  if (busy !== null)
    reason = `Port ${busy[1]} is in use; stop the program that uses it (perhaps another peer) or listen on another port, or on port 0 for any free one.`;
  else if (denied !== null)
    reason = `Port ${denied[1]} needs administrator rights; listen on a port above 1023.`;
  else if (absent !== null)
    reason = `This machine does not have the address ${absent[1]}; listen on one of its own, or on 0.0.0.0 for all.`;
  return new NetworkError(reason, { cause: error });
}

/** The address of a connection that was dialled, with the peer at its end. */
function addressOf({ remoteAddr, remotePeer }: Connection): string {
  const address = remoteAddr.toString();
  return peerOfAddress(address) === remotePeer.toString()
    ? address
    : `${address}/p2p/${remotePeer.toString()}`;
}

/** The network over a libp2p node. It starts and stops with the node. */
export function createNetwork(
  libp2p: Libp2p<Services>,
  config: NodeConfig,
  log: Logger = silentLogger,
): SwarmNetwork {
  const own = log.component("net");
  const { admission, clock } = config;
  if (admission !== undefined) serveMembersOnly(libp2p, admission);
  const { reach, relays } = libp2p.services;
  relays.log = own;
  const targets = [...new Set([...config.bootstrap, ...relaysOf(config.listen).addresses])];
  const bootstrap = createBootstrapDialer(libp2p, clock, targets, config.swarmKey !== undefined, own);
  const dialler = createDialler(libp2p, clock, config.swarmKey !== undefined);
  const { judge, ...blocking } = createBlocking(libp2p);
  libp2p.addEventListener("start", () => bootstrap.start());
  libp2p.addEventListener("stop", () => bootstrap.stop());
  if (libp2p.status === "started") bootstrap.start();

  return {
    ...blocking,
    ...createGossip(libp2p.services.pubsub, own, judge, admission),
    ...createRequests(libp2p, clock, own, judge),
    ...createOtherProtocols(libp2p),
    ...createRouting(libp2p, config.records, clock),
    peerId: libp2p.peerId.toString(),
    privateKey: config.privateKey,
    addresses: () => libp2p.getMultiaddrs().map((address) => address.toString()),
    connections: () =>
      libp2p.getConnections().map(({ remotePeer, remoteAddr, direction }) => ({
        peer: remotePeer.toString(),
        address: remoteAddr.toString(),
        direction,
      })),
    dial: dialler.dial,
    onPeer(listener) {
      const connect = ({ detail }: CustomEvent): void => listener(String(detail), "connect");
      const disconnect = ({ detail }: CustomEvent): void => listener(String(detail), "disconnect");
      libp2p.addEventListener("peer:connect", connect);
      libp2p.addEventListener("peer:disconnect", disconnect);
      return () => {
        libp2p.removeEventListener("peer:connect", connect);
        libp2p.removeEventListener("peer:disconnect", disconnect);
      };
    },
    dialReport: () => [...bootstrap.report(), ...dialler.report()],
    inviteAddresses(most) {
      const { interfaceOf } = thisMachine();
      const dialled = libp2p.getConnections().filter(({ direction }) => direction === "outbound");
      const known = {
        own: libp2p.getMultiaddrs().map(String),
        announced: config.announce.length > 0,
        seen: reach.seen,
        sources: reach.sources,
        interfaceOf,
        bootstraps: targets,
        connected: new Set(dialled.map(addressOf)),
      };
      return orderAddresses(known, most);
    },
    relayAddresses: () => relays.addresses(),
    onReach(listener) {
      for (const source of [reach, relays]) source.addEventListener("change", listener);
      libp2p.addEventListener("self:peer:update", listener);
      return () => {
        for (const source of [reach, relays]) source.removeEventListener("change", listener);
        libp2p.removeEventListener("self:peer:update", listener);
      };
    },
    restrict(members) {
      if (admission === undefined) throw new Error("the configuration of this node has no admission");
      admission.restrict(members);
      dropStrangers(libp2p, admission);
    },
  };
}
