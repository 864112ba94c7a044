/**
 * How a node of a simulated network gets a connection, as libp2p does: it tries the known addresses of a peer one after
 * the other, or those that the DHT knows; both ends check who the other is and whether it may come in.
 */
import { NetworkError } from "../../errors.ts";
import { peerOfAddress } from "../../net/addresses.ts";
import { withDeadline } from "../../net/deadline.ts";
import type { Connection, Ground, Node } from "./node.ts";

const DIAL_DEADLINE_MS = 30_000;
/** How long one address is tried. */
const ADDRESS_DIAL_MS = 6_000;
const HUNG_UP = "connected, then closed by the peer";

export class Dialler {
  readonly #node: Node;
  readonly #ground: Ground;
  /** Dials under way, by address. */
  readonly #dials = new Map<string, Promise<Connection | string>>();

  constructor(node: Node, ground: Ground) {
    this.#node = node;
    this.#ground = ground;
  }

  /** Resolves to a connection with a peer or an address. Throws NetworkError. */
  dial(target: string, signal?: AbortSignal): Promise<Connection> {
    const node = this.#node;
    return node.living(() =>
      withDeadline(node.clock, `Dialling ${target}`, DIAL_DEADLINE_MS, signal, () => this.#dial(target)),
    );
  }

  async #dial(target: string): Promise<Connection> {
    const node = this.#node;
    const peer = target.startsWith("/") ? peerOfAddress(target) : target;
    if (peer === node.peer) throw new Error("it is this peer itself");
    const existing = peer === undefined ? undefined : node.connectionWith(peer);
    if (existing !== undefined) return existing;
    const addresses = target.startsWith("/") ? [target] : [...(node.known.get(target) ?? [])];
    if (addresses.length === 0)
      addresses.push(
        ...node
          .reachable()
          .filter((other) => other.peer === peer && other.listens)
          .map(({ address }) => address),
      );
    if (addresses.length === 0) throw new Error("no address of it is known");
    const failures: string[] = [];
    for (const address of addresses) {
      const outcome = await this.#dialAddress(address);
      if (typeof outcome !== "string") return outcome;
      failures.push(addresses.length === 1 ? outcome : `${address.replace(/\/p2p\/[^/]+$/, "")} ${outcome}`);
    }
    throw new NetworkError(`Dialling ${target} failed: ${failures.join("; ")}.`);
  }

  /** A connection, or in words why there is none. Whoever dials the same meanwhile waits with the first. */
  #dialAddress(address: string): Promise<Connection | string> {
    const node = this.#node;
    const place = address.replace(/\/p2p\/[^/]+$/, "");
    const known = this.#dials.get(address);
    if (known !== undefined) return known;
    const other = this.#ground.nodes.find((each) => each.listens && each.address.startsWith(`${place}/`));
    const { promise, resolve } = Promise.withResolvers<Connection | string>();
    const cancel = node.after(ADDRESS_DIAL_MS, () => resolve(`timed out after ${ADDRESS_DIAL_MS / 1000} s`));
    const dialling = promise.finally(() => {
      cancel();
      this.#dials.delete(address);
    });
    this.#dials.set(address, dialling);
    if (other === node) resolve("it is this peer itself");
    else if (other === undefined)
      node.after(this.#ground.links.latency(node, node), () => resolve("connection refused"));
    else this.#shakeHands(other, address, dialling, resolve);
    return dialling;
  }

  #shakeHands(
    other: Node,
    address: string,
    dialling: Promise<Connection | string>,
    resolve: (outcome: Connection | string) => void,
  ): void {
    const node = this.#node;
    const expected = peerOfAddress(address);
    const answer = (outcome: Connection | string): void =>
      other.control(node, () => {
        if (typeof outcome !== "string" && !node.connections.has(outcome)) {
          // The dial was given up, or the other end has closed it again.
          if (this.#dials.get(address) !== dialling) return node.control(other, () => other.close(outcome));
          if (!other.connections.has(outcome)) return resolve(HUNG_UP);
          node.opened(outcome);
        }
        resolve(outcome);
      });
    node.control(other, () => {
      const existing = [...other.connections].find(
        (each) => each.open.has(node) && other.other(each) === node,
      );
      if (expected !== undefined && expected !== other.peer) answer("is another peer than the invite says");
      else if (other.options.swarmKey !== node.options.swarmKey) answer("no handshake (a private swarm?)");
      else if (node.refuses(other) || other.refuses(node)) answer(HUNG_UP);
      else if (existing !== undefined) answer(existing);
      else {
        const connection: Connection = { ends: [node, other], open: new Set() };
        other.opened(connection);
        answer(connection);
      }
    });
  }
}
