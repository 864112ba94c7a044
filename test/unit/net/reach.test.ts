import assert from "node:assert/strict";
import { test } from "node:test";
import { generateKeyPair } from "@libp2p/crypto/keys";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import { multiaddr } from "@multiformats/multiaddr";
import { sourceTowards } from "../../../src/net/machine.ts";
import { needsRelay, ownScopes, type RelayNeed, relaysOf } from "../../../src/net/relay-need.ts";
import {
  dialRank,
  isShareable,
  placesAt,
  relaysIn,
  scopeOf,
  sharedAddresses,
} from "../../../src/net/scope.ts";

const OTHER = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA";
const RELAY = "12D3KooWQJT3YeVLrpvLFDyxKGaJy2UXHpLD8ga4aCVKzrA8CQei";

test("the scope of an address", () => {
  const cases = [
    ["127.0.0.1", "loopback"],
    ["::1", "loopback"],
    ["10.1.2.3", "private"],
    ["172.31.0.1", "private"],
    ["172.32.0.1", "public"],
    ["100.100.1.1", "private"],
    ["169.254.1.1", "private"],
    ["fd12::1", "private"],
    ["fe80::1", "link-local"],
    ["2a01::1", "public"],
    ["8.8.8.8", "public"],
    ["0.0.0.0", "unspecified"],
    ["::", "unspecified"],
    ["example.org", "name"],
  ] as const;
  for (const [host, scope] of cases) assert.equal(scopeOf(host), scope, host);
});

test("what is only to listen on is not shared", () => {
  for (const address of ["/ip4/1.2.3.4/tcp/0", "/ip4/0.0.0.0/tcp/1", "/ip6/::/tcp/1", "/ip6/fe80::1/tcp/1"])
    assert.ok(!isShareable(multiaddr(address)), address);
  for (const address of ["/ip4/10.0.0.1/tcp/1", "/dns4/a.org/tcp/1", "/ip6/fd00::1/tcp/1/ws"])
    assert.ok(isShareable(multiaddr(address)), address);
});

const HOST = { interfaceOf: (ip: string) => (ip.startsWith("172.") ? "docker0" : "br0") };

test("addresses of containers are told only where there is no other", () => {
  const told = (...addresses: string[]): string[] =>
    sharedAddresses(
      addresses.map((address) => multiaddr(address)),
      HOST,
    ).map(String);
  const [loopback, inside, outside] = [
    "/ip4/127.0.0.1/tcp/1",
    "/ip4/172.17.0.1/tcp/1",
    "/ip4/10.0.0.7/tcp/1",
  ];
  assert.deepEqual(told(loopback, inside, outside), [loopback, outside]);
  assert.deepEqual(told(loopback, inside), [loopback, inside]);
});

test("through each relay only the addresses that lead farthest are told", () => {
  const through = (ip: string, relay: string): string => `/ip4/${ip}/tcp/1/p2p/${relay}/p2p-circuit`;
  const told = [
    "/ip4/127.0.0.1/tcp/1",
    through("7.7.7.7", RELAY),
    through("10.0.0.1", OTHER),
    through("10.1.0.1", OTHER),
  ];
  const kept = [
    through("127.0.0.1", RELAY),
    through("10.0.0.2", RELAY),
    through("127.0.0.1", OTHER),
    "/ip4/0.0.0.0/tcp/1",
  ];
  const all = [...kept, ...told].map((address) => multiaddr(address));
  assert.deepEqual(sharedAddresses(all, HOST).map(String), told);
  const many = Array.from({ length: 1000 }, (_, port) =>
    multiaddr(`/ip4/7.7.7.7/tcp/${port + 1}/p2p/${RELAY}/p2p-circuit`),
  );
  assert.equal(sharedAddresses(many, HOST).length, 4);
  assert.deepEqual(relaysIn(all.map(String)), ["/ip4/7.7.7.7/tcp/1", "/ip4/10.0.0.1/tcp/1"]);
});

test("however many relays an address names, few are told", async () => {
  const ids = await Promise.all(
    Array.from({ length: 300 }, async () =>
      peerIdFromPrivateKey(await generateKeyPair("Ed25519")).toString(),
    ),
  );
  const many = ids.flatMap((relay) =>
    [1, 2, 3, 4, 5].map((port) => multiaddr(`/ip4/8.8.8.8/tcp/${port}/p2p/${relay}/p2p-circuit`)),
  );
  assert.equal(sharedAddresses(many, HOST).length, 2 * 4);
  assert.equal(relaysIn(many.map(String)).length, 2);
  assert.deepEqual(placesAt(ids[7]!, many), many.slice(35, 40), "a relay speaks for itself only");
});

test("no route, no source", async () => {
  assert.equal(await sourceTowards("udp4", "127.0.0.1"), "127.0.0.1");
  // Nobody may send there without saying so, which has the same end as no route.
  assert.equal(await sourceTowards("udp4", "255.255.255.255"), undefined);
});

test("only what a peer listens on is an address of it", () => {
  const own = [
    { multiaddr: multiaddr("/ip4/192.168.1.9/tcp/1"), type: "transport" },
    { multiaddr: multiaddr(`/ip4/7.7.7.7/tcp/1/p2p/${RELAY}/p2p-circuit`), type: "transport" },
    { multiaddr: multiaddr("/ip4/5.6.7.8/tcp/1"), type: "observed" },
  ];
  assert.deepEqual(ownScopes(own), ["private"]);
});

test("dialled in this order: public, own networks, this machine, relays, other people's networks", () => {
  const machine = { sharesNetwork: (ip: string) => ip.startsWith("192.168.1.") };
  const order = [
    "/ip4/5.6.7.8/tcp/1",
    "/ip4/192.168.1.9/tcp/1",
    "/ip4/127.0.0.1/tcp/1",
    `/ip4/7.7.7.7/tcp/1/p2p/${RELAY}/p2p-circuit`,
    "/ip4/10.0.0.9/tcp/1",
    `/ip4/127.0.0.1/tcp/1/p2p/${RELAY}/p2p-circuit`,
  ];
  const ranks = order.map((address) => dialRank(multiaddr(address), machine));
  assert.deepEqual(ranks, [0, 1, 2, 3, 4, 5]);
});

test("who takes a relay", () => {
  const usual: RelayNeed = {
    asked: false,
    listens: true,
    announces: false,
    own: ["loopback", "private"],
    relay: "public",
    dialledFromOutside: false,
  };
  assert.ok(needsRelay(usual));
  assert.ok(needsRelay({ ...usual, relay: "private" }), "two networks with the relay between them");
  assert.ok(needsRelay({ ...usual, own: ["public"] }), "perhaps behind a firewall");
  assert.ok(needsRelay({ ...usual, dialledFromOutside: true }), "nobody is told of the way in");
  assert.ok(!needsRelay({ ...usual, own: ["public", "private"], dialledFromOutside: true }));
  assert.ok(!needsRelay({ ...usual, announces: true }));
  assert.ok(!needsRelay({ ...usual, relay: "loopback" }));
  assert.ok(!needsRelay({ ...usual, listens: false }));
  assert.ok(needsRelay({ ...usual, asked: true, relay: "loopback" }));
});

test("relays to listen through are read from --listen", () => {
  const relay = `/ip4/7.7.7.7/tcp/1/p2p/${RELAY}`;
  assert.deepEqual(relaysOf(["/ip4/0.0.0.0/tcp/0"]), { asked: false, addresses: [] });
  assert.deepEqual(relaysOf(["/p2p-circuit"]), { asked: true, addresses: [] });
  assert.deepEqual(relaysOf([`${relay}/p2p-circuit`, "/ip4/0.0.0.0/tcp/0"]), {
    asked: true,
    addresses: [relay],
  });
});
