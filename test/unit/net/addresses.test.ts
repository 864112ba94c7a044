import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddresses, peerOfAddress } from "../../../src/net/addresses.ts";

const PEER = "12D3KooWP1Kut8e3Cg1KMaCzV1XpN6bGwfVCXQhpb9WmGCnKtZKs";
const RELAY = "12D3KooWQJT3YeVLrpvLFDyxKGaJy2UXHpLD8ga4aCVKzrA8CQei";

test("good addresses are accepted for what they are good for", () => {
  const relayed = `/ip4/1.2.3.4/tcp/1/p2p/${RELAY}/p2p-circuit/p2p/${PEER}`;
  const listen = ["/ip4/0.0.0.0/tcp/0", "/ip6/::/tcp/4001/ws", "/p2p-circuit"];
  assert.equal(parseAddresses(listen, "listen").length, 3);
  assert.equal(parseAddresses(["/dns4/example.org/tcp/443/tls/ws"], "announce").length, 1);
  assert.deepEqual(parseAddresses([`/ip4/1.2.3.4/tcp/1/p2p/${PEER}`, relayed], "dial").map(String), [
    `/ip4/1.2.3.4/tcp/1/p2p/${PEER}`,
    relayed,
  ]);
  assert.equal(peerOfAddress(relayed), PEER);
  assert.equal(peerOfAddress("/ip4/1.2.3.4/tcp/1"), undefined);
});

test("a bad address is named with the reason and an example", () => {
  const cases = [
    ["1.2.3.4:4001", "dial", /"1\.2\.3\.4:4001" is not an address to dial .*write one like \/ip4\/203/],
    ["/ip4/1.2.3/tcp/1", "listen", /"\/ip4\/1\.2\.3\/tcp\/1" is not an address to listen on/],
    ["/ip4/1.2.3.4/udp/4001", "listen", /it names no TCP port/],
    ["/ip4/1.2.3.4/tcp/4001", "dial", /it lacks the peer id/],
    [`/ip4/1.2.3.4/tcp/0/p2p/${PEER}`, "dial", /nobody can dial port 0/],
    ["", "announce", /"" is not an address to announce/],
    ["/ip4/203.0.113.7/tcp/0", "announce", /nobody can dial port 0/],
    ["/ip4/0.0.0.0/tcp/4001", "announce", /0\.0\.0\.0 stands for all addresses/],
    ["/ip6/::/tcp/4001", "announce", /:: stands for all addresses/],
    ["/ip6/fe80::1/tcp/4001", "announce", /link-local/],
    [`/ip6/fe80::1/tcp/4001/p2p/${PEER}`, "dial", /link-local/],
    ["/ip4/203.0.113.7", "announce", /it names no TCP port/],
    ["/tcp/4001", "announce", /neither an IP address nor a host/],
    ["203.0.113.7", "announce", /write one like/],
    ["/p2p-circuit", "announce", /it names no relay/],
    [`/ip4/0.0.0.0/tcp/4001/p2p/${PEER}`, "listen", /has no peer id/],
    [`/ip4/1.2.3.4/tcp/1/p2p/${RELAY}/p2p-circuit`, "dial", /it lacks the peer id/],
  ] as const;
  for (const [address, use, message] of cases)
    assert.throws(() => parseAddresses([address], use), { name: "UsageError", message });
});
