/**
 * Who may take part. In an open run everybody may; in a run with an allow-list only the peers that its
 * manifest names, and bootstrap nodes may be connected to, for the DHT and as relays, but get neither gossip nor blocks.
 */
import type { ConnectionGater, Libp2p, PeerId } from "@libp2p/interface";
import { type Logger, silentLogger } from "../log.ts";

/** Refused peers that are told of one by one; identities are free, lines in a log are not. */
const MAX_TOLD = 100;

export class Admission {
  readonly #bootstraps: ReadonlySet<string>;
  readonly #log: Logger;
  readonly #told = new Set<string>();
  #members: ReadonlySet<string> | undefined;

  /** Open until `restrict` is called. `bootstraps` are peer ids. */
  constructor(bootstraps: Iterable<string> = [], log: Logger = silentLogger) {
    this.#bootstraps = new Set(bootstraps);
    this.#log = log;
  }

  /** From now on only these peers take part. */
  restrict(members: Iterable<string>): void {
    this.#members = new Set(members);
  }

  /** Whether a peer takes part in the run. The first refusal of each peer is logged. */
  admits(peer: string, what: string): boolean {
    return this.#members === undefined || this.#members.has(peer) || this.#refuse(peer, what);
  }

  /** Whether a peer may be connected: members and bootstrap nodes. */
  connects(peer: string, what: string): boolean {
    return this.#bootstraps.has(peer) || this.admits(peer, what);
  }

  #refuse(peer: string, what: string): false {
    if (this.#told.has(peer) || this.#told.size >= MAX_TOLD) return false;
    this.#told.add(peer);
    this.#log.warn(`refused ${what} peer ${peer}: it is not on the list of peers that the run admits`);
    if (this.#told.size === MAX_TOLD)
      this.#log.warn(`refused ${MAX_TOLD} peers; further ones are refused silently`);
    return false;
  }
}

/** Turns strangers away once an encrypted connection proves who is there, and does not dial them. */
export function connectionGater(admission: Admission): ConnectionGater {
  const inbound = (peer: PeerId): boolean => !admission.connects(peer.toString(), "a connection from");
  const outbound = (peer: PeerId): boolean => !admission.connects(peer.toString(), "to connect to");
  return {
    denyDialPeer: outbound,
    denyInboundEncryptedConnection: inbound,
    denyOutboundEncryptedConnection: outbound,
  };
}

/** Serves what is registered from now on, such as block exchange and requests, to members only. */
export function serveMembersOnly(libp2p: Libp2p, admission: Admission): void {
  // Not a middleware (libp2p.use): libp2p 3.3.11 appends the handler to its list anew for every stream.
  const handle = libp2p.handle.bind(libp2p);
  libp2p.handle = (protocols, handler, options) =>
    handle(
      protocols,
      (stream, connection) => {
        if (admission.admits(connection.remotePeer.toString(), `a ${stream.protocol} stream from`))
          return handler(stream, connection);
        stream.abort(new Error("only members of the run are served"));
      },
      options,
    );
}

/** Closes the connections of peers that are not admitted any more. */
export function dropStrangers(libp2p: Libp2p, admission: Admission): void {
  const strangers = libp2p
    .getConnections()
    .filter(({ remotePeer }) => !admission.connects(remotePeer.toString(), "the connection of"));
  for (const connection of strangers) connection.abort(new Error("the run admits listed peers only"));
}
