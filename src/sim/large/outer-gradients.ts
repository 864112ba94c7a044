/** Who has which outer gradient on its disk, and who fetches it from whom. */
import type { CID } from "multiformats/cid";
import type { SimulatedNetwork } from "./network.ts";
import type { SimulatedPeer } from "./types.ts";
import type { VirtualTime } from "./virtual-time.ts";

export interface OuterGradientsInit {
  time: VirtualTime;
  network: SimulatedNetwork;
  /** Bytes of an outer gradient. */
  bytes: number;
  /** Peers whose outer gradients nobody can fetch. */
  withheld: ReadonlySet<string>;
  reaches: (a: SimulatedPeer, b: SimulatedPeer) => boolean;
}

export class OuterGradients {
  readonly #init: OuterGradientsInit;
  readonly #holders = new Map<string, Set<SimulatedPeer>>();

  constructor(init: OuterGradientsInit) {
    this.#init = init;
  }

  /** The outer gradient of a contribution is on a peer's disk. */
  hold(peer: SimulatedPeer, module: string, contribution: CID): void {
    const key = contribution.toString();
    peer.disk.add(key);
    peer.fetching.delete(key);
    peer.coordinator.available(module, contribution);
    this.#holders.set(key, (this.#holders.get(key) ?? new Set()).add(peer));
  }

  /** Fetches what the peer's modules wait for. */
  prefetch(peer: SimulatedPeer): void {
    for (const module of peer.coordinator.owned(this.#init.time.now)) {
      const pending = peer.lineages.get(module)!.pending();
      if (peer.supplied.get(module) === pending) continue;
      let isSupplied = true;
      for (const { cid, signer } of pending)
        isSupplied = this.#fetch(peer, module, cid, signer) && isSupplied;
      if (isSupplied) peer.supplied.set(module, pending);
    }
  }

  /** Whether an outer gradient is here or on its way. */
  #fetch(peer: SimulatedPeer, module: string, cid: CID, signer: string): boolean {
    const { time, network, bytes, withheld } = this.#init;
    const key = cid.toString();
    if (peer.fetching.has(key)) return true;
    if (peer.disk.has(key)) {
      // What only a losing branch had folded is pending again, and was not when the peer started.
      peer.coordinator.available(module, cid);
      return true;
    }
    if (withheld.has(signer) || this.#source(peer, key) === undefined) return false;
    peer.fetching.add(key);
    time.after(network.transfer(bytes), () => {
      if (!peer.fetching.delete(key)) return;
      if (peer.alive && this.#source(peer, key) !== undefined) {
        network.fetched(bytes);
        this.hold(peer, module, cid);
      } else peer.supplied.delete(module);
    });
    return true;
  }

  #source(peer: SimulatedPeer, key: string): SimulatedPeer | undefined {
    for (const holder of this.#holders.get(key) ?? [])
      if (holder.alive && !holder.paused && this.#init.reaches(holder, peer)) return holder;
    return undefined;
  }
}
