/** The watchdog's line: what a round waits for, with names, ages and what happens next. Pure. */
import { counted, formatBytes } from "../../run/format.ts";
import type { FetchProgress } from "../../store/types.ts";

/** A peer that something is expected of. */
export interface Expected {
  peer: string;
  /** Undefined for this peer itself, `null` when it was never heard. */
  lastSeen: number | null | undefined;
}

/** Work on a path that is not there yet, and the peer that claims to do it. */
export interface MissingWork {
  path: number;
  holder?: Expected & { progress: number; expires: number };
}

/** Times are those of the local clock, in ms. */
export type Wait =
  /** An observer hears nobody. */
  | { for: "peers" }
  /** Hears the others' claims out before its first. */
  | { for: "claims"; until: number }
  | { for: "rivals"; round: number; path: number; until: number }
  /** The tensors of a module, or the shard of a path. */
  | { for: "blocks"; round: number; what: string; fetch: FetchProgress }
  | { for: "contributions"; round: number; module: string; generation: number; missing: MissingWork[] }
  | {
      for: "owner";
      round: number;
      module: string;
      generation: number;
      owner: Expected | undefined;
      takeover: number;
    }
  /** Every open slot is another peer's. */
  | { for: "slots"; round: number; missing: MissingWork[] };

/** Things of a list that are named; the rest is counted. */
const NAMED = 3;
const CHANGED_MS = 1_000;
const UNCHANGED_MS = 5_000;

/** `12D3…x9`: enough to tell the peers of a run apart at a glance. */
export function shortPeer(peer: string): string {
  return peer.length <= 8 ? peer : `${peer.slice(0, 4)}…${peer.slice(-2)}`;
}

/** One line, e.g. `round 12 waits for upper/1 (generation 11, owner 12D3…x9 last seen 8 s ago, taking over in 4 s)`. */
export function describeWait(wait: Wait, now: number): string {
  const within = (time: number): string => `in ${Math.max(0, Math.ceil((time - now) / 1000))} s`;
  const seen = ({ peer, lastSeen }: Expected): string => {
    if (lastSeen === undefined) return "this peer";
    const age = lastSeen === null ? "not seen yet" : `last seen ${Math.round((now - lastSeen) / 1000)} s ago`;
    return `${shortPeer(peer)} ${age}`;
  };
  const work = ({ path, holder }: MissingWork): string =>
    holder === undefined
      ? `path ${path} of nobody yet`
      : `path ${path} of ${seen(holder)} at ${Math.floor(100 * holder.progress)} %, lease ends ${within(holder.expires)}`;

  switch (wait.for) {
    case "peers":
      return "waiting to hear a peer of the run";
    case "claims":
      return `listening to the claims of other peers (first claim ${within(wait.until)})`;
    case "rivals":
      return `round ${wait.round} waits for rival claims (path ${wait.path}, starting ${within(wait.until)})`;
    case "blocks": {
      const { blocks, arrived, bytes, from, holders } = wait.fetch;
      const source =
        from.length > 0 ? `from ${listed(from.map(shortPeer))}` : `asking ${listed(holders.map(shortPeer))}`;
      return `round ${wait.round} waits for ${wait.what} (${arrived} of ${counted(blocks, "block")}, ${formatBytes(bytes)} so far, ${source})`;
    }
    case "contributions":
      return `round ${wait.round} waits for ${wait.module} (generation ${wait.generation}, ${listed(wait.missing.map(work), "; ")})`;
    case "owner": {
      const owner = wait.owner === undefined ? "no owner" : `owner ${seen(wait.owner)}`;
      return `round ${wait.round} waits for ${wait.module} (generation ${wait.generation}, ${owner}, taking over ${within(wait.takeover)})`;
    }
    case "slots":
      return `round ${wait.round} waits for others (${listed(wait.missing.map(work), "; ")})`;
  }
}

function listed(items: string[], separator = ", "): string {
  if (items.length === 0) return "nobody";
  const rest = items.length - NAMED;
  return items.slice(0, NAMED).join(separator) + (rest > 0 ? `${separator}and ${rest} more` : "");
}

/** A line without its ages and counts, which change by themselves. */
function withoutAges(line: string): string {
  return line.replaceAll(/\d+(\.\d+)? ([KMGT]iB|B|s|%|of)\b/g, "");
}

/** Which lines to show: another one at once, at most one a second; the same one with new ages every five. */
export function createWaitReport(
  show: (line: string) => void,
): (line: string | undefined, now: number) => void {
  let shown: { line: string; at: number } | undefined;
  return (line, now) => {
    if (line === undefined) {
      shown = undefined;
      return;
    }
    const same = shown !== undefined && withoutAges(shown.line) === withoutAges(line);
    if (shown !== undefined && (line === shown.line || now - shown.at < (same ? UNCHANGED_MS : CHANGED_MS)))
      return;
    shown = { line, at: now };
    show(line);
  };
}
