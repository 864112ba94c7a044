import assert from "node:assert/strict";
import { test } from "node:test";
import { joinFailure, type JoinAttempt } from "../../../src/peer/join-failure.ts";
import type { DialCause, DialFailure } from "../../../src/net/dial-failure.ts";
import { RUN } from "../../../src/sim/large/run.ts";

const SELF = "12D3KooWP1Kut8e3Cg1KMaCzV1XpN6bGwfVCXQhpb9WmGCnKtZKs";
const PEER = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA";
const failure = (address: string, cause: DialCause, error: string): DialFailure => ({
  address: `${address}/p2p/${PEER}`,
  cause,
  error,
});
const attempt = (changes: Partial<JoinAttempt>): JoinAttempt => ({
  run: RUN,
  self: SELF,
  connected: 0,
  providers: 0,
  failures: [],
  last: undefined,
  isPrivate: false,
  ...changes,
});

test("each address has a line of its own with its own result, in 80 columns, and one step follows", () => {
  const failures = [
    failure("/ip4/10.0.0.1/tcp/4001", "refused", "connection refused"),
    failure("/dns4/a-host-with-a-really-long-name.example.org/tcp/4001", "silent", "timed out after 6 s"),
    failure("/ip4/203.0.113.9/tcp/4001", "other", "something that libp2p says at length about a stream"),
  ];
  const [first, ...rest] = joinFailure(attempt({ failures })).split("\n");
  const lines = rest.slice(0, 3);
  assert.equal(first, "No bootstrap is reachable:");
  assert.match(lines[0]!, /^ {2}\/ip4\/10\.0\.0\.1\/tcp\/4001 +connection refused$/);
  assert.match(lines[1]!, /^ {2}\/dns4\/a-host-w.*…\.example\.org\/tcp\/4001|timed out after 6 s$/);
  for (const line of lines) assert.ok(line.length <= 80, line);
  assert.match(rest[3]!, /Nobody listens there/);
  assert.equal(rest.length, 4);
});

test("the next step fits the cause", () => {
  const step = (changes: Partial<JoinAttempt>): string => joinFailure(attempt(changes)).split("\n").at(-1)!;
  const one = (cause: DialCause): DialFailure[] => [failure("/ip4/10.0.0.1/tcp/1", cause, "so")];
  assert.match(step({}), /--bootstrap/);
  assert.match(step({ failures: one("silent") }), /firewall or a NAT .*--bootstrap.*--announce/);
  assert.match(step({ failures: one("unreachable") }), /firewall or a NAT/);
  assert.match(step({ failures: one("handshake"), isPrivate: true }), /key .*new invite.*12D3KooWP1/);
  assert.match(step({ failures: one("handshake") }), /may be private/);
  assert.match(step({ failures: one("closed") }), /listed peers only/);
  assert.match(step({ failures: one("other-peer") }), /Another peer listens there/);
  assert.match(step({ failures: one("unknown-name") }), /DNS/);
  assert.match(step({ failures: one("relay") }), /relay/);
  assert.match(step({ connected: 1, last: "it was so" }), /same bootstrap\..*The last try: it was so\.$/);
  assert.match(step({ connected: 1, providers: 1, failures: one("silent") }), /relays between them/);
  assert.match(
    joinFailure(attempt({ connected: 2 })),
    new RegExp(`^Connected to 2 peers, but none of them has the run ${RUN}\\.`),
  );
});

test("control characters of an invite do not reach the terminal", () => {
  const failures = [failure("/dns4/a\x1b[2Jb/tcp/1", "other", "so\x07 it is")];
  const [, line] = joinFailure(attempt({ failures })).split("\n");
  assert.equal(line, "  /dns4/a?[2Jb/tcp/1  so? it is");
});

test("many addresses are counted, not listed", () => {
  const failures = Array.from({ length: 20 }, (_, index) =>
    failure(`/ip4/10.0.0.${index}/tcp/1`, "refused", "connection refused"),
  );
  assert.match(joinFailure(attempt({ failures })), /\n {2}and 8 more\n/);
});
