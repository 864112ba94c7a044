import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { peerOfAddress } from "../../../src/net/addresses.ts";
import { type KnownAddresses, orderAddresses } from "../../../src/net/order-addresses.ts";

const SELF = "12D3KooWP1Kut8e3Cg1KMaCzV1XpN6bGwfVCXQhpb9WmGCnKtZKs";
const RELAY = "12D3KooWQJT3YeVLrpvLFDyxKGaJy2UXHpLD8ga4aCVKzrA8CQei";
const OTHER = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA";
const own = (ip: string, port = 4001): string =>
  `/${ip.includes(":") ? "ip6" : "ip4"}/${ip}/tcp/${port}/p2p/${SELF}`;
const through = (ip: string): string => `/ip4/${ip}/tcp/4001/p2p/${RELAY}/p2p-circuit/p2p/${SELF}`;
const relay = (ip: string): string => `/ip4/${ip}/tcp/4001/p2p/${RELAY}`;
const other = (ip: string): string => `/ip4/${ip}/tcp/4001/p2p/${OTHER}`;

function known(changes: Partial<KnownAddresses>): KnownAddresses {
  return {
    own: [],
    announced: false,
    seen: new Set(),
    sources: new Set(),
    interfaceOf: () => undefined,
    bootstraps: [],
    connected: new Set(),
    ...changes,
  };
}

const BRIDGES = Array.from({ length: 11 }, (_, index) => `172.${17 + index}.0.1`);

test("eleven bridges crowd out neither the routable address nor the connected bootstrap", () => {
  const ways: Partial<KnownAddresses>[] = [
    { interfaceOf: (ip) => (BRIDGES.includes(ip) ? "br-0a1b2c" : "enp3s0"), sources: new Set(["10.0.0.7"]) },
    { sources: new Set(["10.0.0.7"]) },
    // A machine whose only way out is a bridge.
    { interfaceOf: (ip) => (ip === "10.0.0.7" ? "br0" : "docker0"), sources: new Set(["10.0.0.7"]) },
    { seen: new Set(["10.0.0.7"]) },
  ];
  for (const way of ways) {
    const addresses = orderAddresses(
      known({
        own: ["127.0.0.1", ...BRIDGES, "10.0.0.7"].map((ip) => own(ip)),
        bootstraps: [other("10.9.9.9"), relay("192.168.7.7")],
        connected: new Set([relay("192.168.7.7")]),
        ...way,
      }),
      8,
    );
    assert.deepEqual(new Set(addresses.slice(0, 2)), new Set([own("10.0.0.7"), relay("192.168.7.7")]));
    assert.ok(addresses.includes(other("10.9.9.9")), "a bootstrap that is down for now");
    assert.equal(addresses.length, 8);
    assert.ok(!addresses.includes(own("127.0.0.1")));
  }
});

test("who lies about what it sees pushes nothing out", () => {
  const [lan, boot] = [own("192.168.1.7"), relay("45.67.89.10")];
  const state = known({
    own: [...BRIDGES.map((ip) => own(ip)), through("45.67.89.10"), lan],
    sources: new Set(["192.168.1.7"]),
    interfaceOf: (ip) => (ip.startsWith("172.") ? "tun0" : "eth0"),
    bootstraps: [boot],
    connected: new Set([boot]),
  });
  for (const seen of [[], ["192.168.1.7"], BRIDGES, ["192.168.1.7", ...BRIDGES]]) {
    const addresses = orderAddresses({ ...state, seen: new Set(seen) }, 8);
    assert.equal(addresses.length, 8);
    assert.deepEqual(new Set(addresses.slice(0, 3)), new Set([lan, boot, through("45.67.89.10")]));
  }
});

test("the order: announced, proven or public, the default route, relays, seen, other networks, bridges", () => {
  const addresses = orderAddresses(
    known({
      own: [
        own("127.0.0.1"),
        own("172.17.0.1"),
        own("10.3.0.1"),
        through("7.7.7.7"),
        own("192.168.1.5"),
        own("10.8.0.2"),
        own("5.6.7.8"),
      ],
      seen: new Set(["10.8.0.2"]),
      sources: new Set(["192.168.1.5"]),
      interfaceOf: (ip) => (ip === "172.17.0.1" ? "docker0" : "eth0"),
      bootstraps: [relay("7.7.7.7"), relay("10.0.0.1")],
      connected: new Set([relay("7.7.7.7")]),
    }),
    16,
  );
  assert.deepEqual(addresses, [
    own("5.6.7.8"),
    relay("7.7.7.7"),
    own("192.168.1.5"),
    through("7.7.7.7"),
    own("10.8.0.2"),
    relay("10.0.0.1"),
    own("10.3.0.1"),
    own("172.17.0.1"),
  ]);
  const announced = orderAddresses(known({ own: [own("203.0.113.7")], announced: true }), 8);
  assert.deepEqual(announced, [own("203.0.113.7")]);
});

test("addresses that nobody else can dial are never in it, loopback only where nothing else is", () => {
  const hopeless = [own("fe80::1"), own("10.0.0.1", 0), own("0.0.0.0"), own("::")];
  assert.deepEqual(orderAddresses(known({ own: [...hopeless, own("127.0.0.1"), own("fd00::1")] }), 8), [
    own("fd00::1"),
  ]);
  assert.deepEqual(orderAddresses(known({ own: [...hopeless, own("127.0.0.1")] }), 8), [own("127.0.0.1")]);
  assert.deepEqual(orderAddresses(known({ own: hopeless }), 8), []);
  // A swarm on one machine, with its bootstrap.
  const local = known({ own: [own("127.0.0.1")], bootstraps: [relay("127.0.0.1")] });
  assert.deepEqual(new Set(orderAddresses(local, 8)), new Set([own("127.0.0.1"), relay("127.0.0.1")]));
});

test("one address through a relay is enough, that by which it is connected", () => {
  const addresses = orderAddresses(
    known({
      own: [through("10.0.0.1"), through("7.7.7.7"), through("127.0.0.1")],
      connected: new Set([relay("7.7.7.7")]),
    }),
    8,
  );
  assert.deepEqual(addresses, [through("7.7.7.7")]);
});

test("whatever there is, bootstraps and the best own address are in it, and it keeps its bound", () => {
  const ip = fc.tuple(fc.constantFrom(5, 10, 127, 172, 192), fc.nat(255)).map(([a, b]) => `${a}.${b}.0.1`);
  fc.assert(
    fc.property(
      fc.uniqueArray(ip, { minLength: 1, maxLength: 40 }),
      fc.uniqueArray(ip, { maxLength: 40 }),
      fc.integer({ min: 8, max: 32 }),
      (mine, theirs, most) => {
        const state = known({
          own: mine.map((host) => own(host)),
          bootstraps: theirs.map((host, index) => (index % 2 === 0 ? relay(host) : other(host))),
          connected: new Set(theirs.slice(0, 1).map(relay)),
        });
        const addresses = orderAddresses(state, most);
        assert.ok(addresses.length <= most);
        assert.equal(new Set(addresses).size, addresses.length);
        for (const address of state.connected) assert.ok(addresses.includes(address));
        const peers = new Set(addresses.map(peerOfAddress));
        for (const address of state.bootstraps) assert.ok(peers.has(peerOfAddress(address)));
        const [best] = orderAddresses({ ...state, bootstraps: [] }, 1);
        const local = best!.startsWith("/ip4/127.");
        if (!local || theirs.length === 0) assert.ok(addresses.includes(best!));
      },
    ),
  );
});
