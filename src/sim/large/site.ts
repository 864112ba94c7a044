/**
 * Peers that hear the same gossip at the same time, and so know the same. With one peer per site every peer is
 * simulated for itself; thousands of peers share a few dozen sites, and a message costs work per site.
 */
import type { CID } from "multiformats/cid";
import type { Lineage } from "../../outer/lineage.ts";
import type { KnownContribution, KnownVersion } from "../../outer/types.ts";
import type { Heartbeat } from "../../swarm/messages.ts";
import { View, type ViewInit } from "../../swarm/plan/view.ts";
import type { SimulatedPeer } from "./types.ts";

const FOLDS_REFUSED = "it folds what is refused";

export class Site {
  readonly peers: SimulatedPeer[] = [];
  readonly lineages: Map<string, Lineage>;
  /** Whether the content of a contribution is wrong. Every reader finds that; its signer does not say so. */
  readonly isPoisoned: (contribution: KnownContribution, site: Site) => boolean;
  /** Equal for sites that know the same records. */
  fingerprint = 0;
  /** Bytes of what it asks in an exchange, as of the last one that was needed. */
  askBytes = 0;
  asking = false;
  readonly #init: Omit<ViewInit, "lineages">;
  readonly #known = new Set<string>();
  readonly #contributions: KnownContribution[] = [];
  /** Versions that list a contribution, by its CID. */
  readonly #folders = new Map<string, CID[]>();
  #view: View;
  #listening: readonly SimulatedPeer[] | undefined;

  constructor(
    init: Omit<ViewInit, "lineages">,
    lineages: Map<string, Lineage>,
    isPoisoned: Site["isPoisoned"],
  ) {
    this.#init = init;
    this.lineages = lineages;
    this.isPoisoned = isPoisoned;
    this.#view = new View({ ...init, lineages });
  }

  get view(): View {
    return this.#view;
  }

  /** Peers that take in what arrives; the same list until `changed` is called. */
  get listening(): readonly SimulatedPeer[] {
    this.#listening ??= this.peers.filter(({ alive, paused }) => alive && !paused);
    return this.#listening;
  }

  /** A peer has come, gone, stopped or goes on. */
  changed(): void {
    this.#listening = undefined;
  }

  /** Forgets what only memory holds, as when the only process here starts again; the lineage is on disk. */
  restart(): void {
    this.#view = new View({ ...this.#init, lineages: this.lineages });
    for (const contribution of this.#contributions) this.#view.contributed(contribution);
  }

  /** Takes in a heartbeat; whether its peer is new here, or undefined for a replay. */
  heard(from: string, heartbeat: Heartbeat, now: number): "new" | "known" | undefined {
    const member = this.#view.membership.member(from);
    const live = member !== undefined && !member.heartbeat.leaving && now - member.lastSeen <= member.timeout;
    if (!this.#view.heard(from, heartbeat, now)) return undefined;
    return live || heartbeat.leaving ? "known" : "new";
  }

  /** Takes in a record; true when it waits for something else. */
  contribution(contribution: KnownContribution): boolean {
    const lineage = this.lineages.get(contribution.module)!;
    if (lineage.contribution(contribution.cid) !== undefined) return false;
    const { missing } = lineage.addContribution(contribution);
    if (this.#note(contribution.cid)) this.#contributions.push(contribution);
    this.#view.contributed(contribution);
    if (this.isPoisoned(contribution, this)) {
      lineage.refuse(contribution.cid, "its tensors are not of the expected shapes");
      // Those that were here before it, and waited for it.
      for (const folder of this.#folders.get(contribution.cid.toString()) ?? [])
        lineage.refuse(folder, FOLDS_REFUSED);
    }
    return missing !== undefined;
  }

  version(version: KnownVersion): boolean {
    const lineage = this.lineages.get(version.module)!;
    if (lineage.version(version.cid) !== undefined) return false;
    const { missing } = lineage.addVersion(version);
    this.#note(version.cid);
    // Folding again fails on a contribution of the wrong content.
    if (version.contributions.some((cid) => lineage.refusal(cid) !== undefined))
      lineage.refuse(version.cid, FOLDS_REFUSED);
    for (const cid of version.contributions.map(String))
      this.#folders.set(cid, [...(this.#folders.get(cid) ?? []), version.cid]);
    return missing !== undefined;
  }

  #note(cid: CID): boolean {
    const key = cid.toString();
    if (this.#known.has(key)) return false;
    this.#known.add(key);
    // Digests are uniform, so their sum tells sets apart.
    const { digest } = cid.multihash;
    this.fingerprint =
      (this.fingerprint + (digest[0]! << 24) + (digest[1]! << 16) + (digest[2]! << 8) + digest[3]!) | 0;
    return true;
  }
}
