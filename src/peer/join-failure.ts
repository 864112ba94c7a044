/** What a joiner is told that did not find its run: what was tried, with what result, and what to do next. Pure. */
import type { CID } from "multiformats/cid";
import type { DialCause, DialFailure } from "../net/dial-failure.ts";

export interface JoinAttempt {
  run: CID;
  /** This peer, for the owner of a run with a list of peers. */
  self: string;
  /** How many peers are connected. */
  connected: number;
  /** Peers of the run that were heard of. */
  providers: number;
  /** Addresses whose peers are not connected. */
  failures: readonly DialFailure[];
  /** Why the last search or fetch failed, if one did. */
  last: string | undefined;
  isPrivate: boolean;
}

const WIDTH = 80;
const MAX_REASON = 38;
const MAX_LINES = 12;

/** Lines of at most 80 columns but for the first, which names the run, and the next steps. */
export function joinFailure(attempt: JoinAttempt): string {
  const { connected, failures } = attempt;
  const lines = failures.slice(0, MAX_LINES).map(describe);
  const width = Math.max(0, ...lines.map(([address]) => address.length));
  const rest = failures.length - MAX_LINES;
  return [
    headline(attempt),
    ...lines.map(([address, reason]) => `  ${address.padEnd(width)}  ${reason}`),
    ...(rest > 0 ? [`  and ${rest} more`] : []),
    connected > 0 ? nextStepAmongPeers(attempt) : nextStep(attempt),
  ].join("\n");
}

function headline({ connected, failures, run }: JoinAttempt): string {
  if (connected > 0)
    return `Connected to ${connected} ${connected === 1 ? "peer" : "peers"}, but none of them has the run ${run}${failures.length > 0 ? "; not reached:" : "."}`;
  return failures.length > 0
    ? "No bootstrap is reachable:"
    : "No bootstrap is reachable: the invite names none, and nobody else was found.";
}

/** The address without the ids of peers, cut in its middle, and a few words. */
function describe({ address, error }: DialFailure): [string, string] {
  const plain = printable(address.replaceAll(/\/p2p\/[^/]+/g, ""));
  const words = printable(error);
  const reason = words.length > MAX_REASON ? `${words.slice(0, MAX_REASON - 1)}…` : words;
  const room = WIDTH - MAX_REASON - 4;
  const cut = plain.length > room ? `${plain.slice(0, room - 16)}…${plain.slice(-15)}` : plain;
  return [cut, reason];
}

/** An invite is anybody's, and a terminal obeys control characters. */
const printable = (text: string): string => text.replaceAll(/[^\x20-\x7e]+/g, "?");

const ORDER: DialCause[] = [
  "handshake",
  "closed",
  "other-peer",
  "relay",
  "refused",
  "silent",
  "unreachable",
  "unknown-name",
  "other",
];

/** One step, for the cause that tells most. */
function nextStep({ failures, isPrivate, self }: JoinAttempt): string {
  const cause = ORDER.find((one) => failures.some((failure) => failure.cause === one));
  switch (cause) {
    case undefined:
      return "Ask a peer that runs for an invite, or name a peer or bootstrap node with --bootstrap.";
    case "handshake":
      return isPrivate
        ? `The key of the swarm may be another one now: ask for a new invite. If the run admits listed peers only, ask its owner whether ${self} is on the list.`
        : `The swarm may be private: ask for an invite that holds its key. If the run admits listed peers only, ask its owner whether ${self} is on the list.`;
    case "closed":
      return `If the run admits listed peers only, ask its owner whether ${self} is on the list. Else try again: the peer may have as many connections as it wants.`;
    case "other-peer":
      return "Another peer listens there than the invite names: ask for a new invite.";
    case "relay":
      return "The relay lost the peer behind it. Check that the peer runs; it comes back to the relay by itself, so try again.";
    case "refused":
      return "Nobody listens there. Check that the peer of the invite runs; if it does, ask it for a new invite.";
    case "silent":
    case "unreachable":
      return "A firewall or a NAT may stand between. Run a bootstrap node (pathweave-bootstrap) that both can reach and give both its address with --bootstrap, or open a port there and use --announce.";
    case "unknown-name":
      return "Check the name and this machine's DNS, or ask for an invite with an IP address.";
    case "other":
      return "Check that one of them is running and that the invite is right.";
  }
}

function nextStepAmongPeers({ providers, failures, self, last }: JoinAttempt): string {
  const because = last === undefined ? "" : ` The last try: ${last.replace(/\.$/, "")}.`;
  if (failures.length > 0 && providers > 0)
    return "This machine cannot reach the peers of the run that it knows. Give them and this peer the same bootstrap node (--bootstrap), which relays between them.";
  return (
    "Check that a peer of the run runs with the same bootstrap. The invite may also belong to another swarm, " +
    `or the run may admit listed peers only, and not this one, ${self}.${because}`
  );
}
