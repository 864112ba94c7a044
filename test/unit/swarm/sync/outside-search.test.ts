import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { systemClock } from "../../../../src/clock.ts";
import { NetworkError } from "../../../../src/errors.ts";
import { createOutsideSearch, Remembered } from "../../../../src/swarm/sync/outside-search.ts";
import { RUN } from "../../../../src/sim/large/run.ts";

const signal = new AbortController().signal;
const addressOf = (peer: string): string => `/dns4/${peer}/tcp/1`;

/** A network of names: who provides the run, who answers a dial or hangs in it, and what was dialled. */
function world(init: { providers: string[]; reachable: string[]; hanging?: string[]; onConnect?(): void }) {
  const dials: string[] = [];
  const connected = new Set<string>();
  const files = new Map<string, Uint8Array>();
  const network = {
    peerId: "self",
    async *findProviders() {
      for (const peer of ["self", ...init.providers]) yield { peer, addresses: [addressOf(peer)] };
    },
    connections: () =>
      [...connected].map((peer) => ({ peer, address: addressOf(peer), direction: "outbound" as const })),
    async dial(target: string, deadline?: AbortSignal) {
      const peer = target.startsWith("/") ? target.split("/")[2]! : target;
      dials.push(target);
      if (init.hanging?.includes(peer) === true) await once(deadline!, "abort");
      if (!init.reachable.includes(peer)) throw new NetworkError("nobody there");
      connected.add(peer);
      init.onConnect?.();
    },
    addressesOf: async (peer: string) => [addressOf(peer)],
  };
  const store = {
    readState: async (name: string) => files.get(name),
    writeState: async (name: string, bytes: Uint8Array) => void files.set(name, bytes),
  };
  const open = () => createOutsideSearch({ clock: systemClock, network, store, run: RUN });
  return { dials, connected, files, open };
}

test("strangers are dialled, members are not", async () => {
  const { open, dials } = world({ providers: ["member", "stranger"], reachable: ["member", "stranger"] });
  assert.deepEqual(await open().run(new Set(["member"]), 0, signal), ["stranger"]);
  assert.deepEqual(dials, ["stranger", addressOf("stranger")]);
});

test("one search dials few, and the dead ever more seldom, so that they do not hide the living", async () => {
  const dead = Array.from({ length: 9 }, (_, i) => `dead${i}`);
  const { open, dials } = world({ providers: [...dead, "stranger"], reachable: ["stranger"] });
  const search = open();
  const reached: string[] = [];
  for (let now = 0; now < 60_000; now += 20_000) {
    const before = dials.length;
    reached.push(...(await search.run(new Set(), now, signal)));
    assert.ok(dials.length - before <= 8, "four peers, by id and by address");
  }
  assert.deepEqual(reached, ["stranger"]);
  dials.length = 0;
  for (let now = 60_000; now < 3_600_000; now += 20_000) await search.run(new Set(["stranger"]), now, signal);
  const tries = dials.filter((target) => target === "dead0").length;
  assert.ok(tries >= 4 && tries <= 6, String(tries));
});

test("peers that hang when they are dialled keep nobody else from being reached, nor from being tried again", async () => {
  const end = new AbortController();
  const reachable = ["stranger", "friend"];
  const { open, connected, files, dials } = world({
    providers: ["frozen", "stranger"],
    reachable,
    hanging: ["frozen", "old friend"],
    onConnect: () => {
      if (reachable.every((peer) => connected.has(peer))) end.abort();
    },
  });
  const friends = ["friend", "old friend"].map((peer) => ({ peer, addresses: [addressOf(peer)] }));
  files.set("peers", Remembered.encode({ peers: friends }).bytes);
  const search = open();
  assert.deepEqual((await search.run(new Set(), 0, end.signal)).toSorted(), ["friend", "stranger"]);
  connected.clear();
  dials.length = 0;
  await search.run(new Set(), 1000, signal);
  assert.ok(dials.includes("stranger") && !dials.includes("frozen"), "only who hangs is left alone");
});

test("members of an earlier session are dialled when nobody else names them", async () => {
  const init = { providers: [] as string[], reachable: ["friend"] };
  const { open, dials, connected, files } = world(init);
  connected.add("friend");
  await open().run(new Set(["friend"]), 0, signal);
  assert.deepEqual(Remembered.decode(files.get("peers")!), {
    peers: [{ peer: "friend", addresses: [addressOf("friend")] }],
  });

  connected.clear();
  const later = open();
  assert.deepEqual(await later.run(new Set(), 0, signal), ["friend"]);
  assert.deepEqual(dials, [addressOf("friend")]);
  assert.deepEqual(await later.run(new Set(), 0, signal), [], "connected already");
});

test("a damaged list of earlier members is as good as none", async () => {
  const { open, files, connected } = world({ providers: ["stranger"], reachable: ["stranger"] });
  files.set("peers", Uint8Array.of(1, 2, 3));
  assert.deepEqual(await open().run(new Set(), 0, signal), ["stranger"]);
  assert.ok(connected.has("stranger"));
});

test("the list of earlier members has the bytes that other versions of Pathweave write", () => {
  const value = { peers: [{ peer: "friend", addresses: [addressOf("friend")] }] };
  const { bytes } = Remembered.encode(value);
  assert.equal(
    Buffer.from(bytes).toString("hex"),
    "a3646b696e64781a7061746877656176652f72656d656d62657265642d706565727365706565727381a2647065657266667269656e646961646472657373657381722f646e73342f667269656e642f7463702f3166666f726d617401",
  );
  assert.deepEqual(Remembered.decode(bytes), value);
});
