/** Two peers that tell each other what they know. Only the wire is a stub; it carries the production bytes. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { generateKeyPair } from "@libp2p/crypto/keys";
import type { PrivateKey } from "@libp2p/interface";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import fc from "fast-check";
import { systemClock } from "../../../../src/clock.ts";
import { InvalidObjectError, UnavailableError } from "../../../../src/errors.ts";
import { createLogger } from "../../../../src/log.ts";
import type { Network, RequestHandler } from "../../../../src/net/types.ts";
import { Contribution } from "../../../../src/objects/contribution.ts";
import { type Block, dagCborCid, kindOf } from "../../../../src/objects/object.ts";
import { Version } from "../../../../src/objects/version.ts";
import { Lineage } from "../../../../src/outer/lineage.ts";
import { knownContribution, openRecord } from "../../../../src/outer/records.ts";
import type { KnownContribution, KnownVersion } from "../../../../src/outer/types.ts";
import { createRandom } from "../../../../src/random.ts";
import { type AntiEntropy, createAntiEntropy } from "../../../../src/swarm/sync/anti-entropy.ts";
import { Answer, Ask, Digest } from "../../../../src/swarm/messages.ts";
import {
  basesOf,
  cidOf,
  createInit,
  fold,
  GENESIS,
  MODULE,
  RUN_ID,
  TOKENS_PER_STEP,
} from "../../outer/history.ts";
import { patient } from "../../../waits.ts";

interface Peer {
  name: string;
  lineage: Lineage;
  blocks: Map<string, Uint8Array>;
  antiEntropy: AntiEntropy;
  /** What was said of refused records. */
  lines: string[];
  ingest(block: Uint8Array): Promise<boolean>;
}

let keys: PrivateKey[];
before(async () => {
  keys = await Promise.all(Array.from({ length: 10 }, () => generateKeyPair("Ed25519")));
});

/** Routes a request to the handler of the peer it names, and counts. */
class Wire {
  readonly handlers = new Map<string, RequestHandler>();
  requests = 0;
  /** Both ways. */
  bytes = 0;

  network(self: string): Pick<Network, "handle" | "request"> {
    return {
      handle: async (_protocol, handler) => void this.handlers.set(self, handler),
      request: async (peer, _protocol, data, signal) => {
        this.requests++;
        signal?.throwIfAborted();
        const answer = await this.handlers.get(peer)!(self, data);
        this.bytes += data.byteLength + answer.byteLength;
        return answer;
      },
    };
  }
}

async function createPeer(wire: Wire, name: string): Promise<Peer> {
  const lineage = new Lineage(createInit({ maxStaleness: 8 }));
  const blocks = new Map<string, Uint8Array>();
  const lines: string[] = [];
  const ingest = async (block: Uint8Array): Promise<boolean> => {
    const cid = dagCborCid(block);
    if (lineage.version(cid) !== undefined || lineage.contribution(cid) !== undefined) return false;
    const { type, record } = await openRecord(block);
    if (type === "version") lineage.addVersion(record);
    else lineage.addContribution(record);
    blocks.set(cid.toString(), block);
    return true;
  };
  const antiEntropy = createAntiEntropy({
    clock: systemClock,
    network: wire.network(name),
    run: RUN_ID,
    lineages: new Map([[MODULE, lineage]]),
    blockOf: async (cid) => blocks.get(cid.toString()),
    ingest,
    log: createLogger("warn", (line) => lines.push(line)),
  });
  await antiEntropy.start();
  return { name, lineage, blocks, antiEntropy, lines, ingest };
}

async function pair(): Promise<{ wire: Wire; a: Peer; b: Peer }> {
  const wire = new Wire();
  return { wire, a: await createPeer(wire, "a"), b: await createPeer(wire, "b") };
}

function seal(base: KnownVersion, key: PrivateKey, round = 0, path = 0, replica = 0): Promise<Block> {
  const tokens = TOKENS_PER_STEP;
  return Contribution.seal(
    {
      run: RUN_ID,
      module: MODULE,
      bases: basesOf(MODULE, path, base.cid),
      work: "train",
      round,
      path,
      replica,
      delta: cidOf("delta"),
      tokens,
      steps: 1,
      loss: 1,
    },
    key,
  );
}

function versionBlock(
  parent: KnownVersion,
  contributions: readonly KnownContribution[],
  salt = 0,
): Uint8Array {
  const { cid: _, ...value } = fold(parent, contributions, { salt });
  return Version.encode(value).bytes;
}

const cids = (items: readonly { cid: { toString(): string } }[]): string[] =>
  items.map(({ cid }) => cid.toString());
const never = new AbortController().signal;

function assertSame(a: Peer, b: Peer): void {
  assert.equal(a.lineage.head().cid.toString(), b.lineage.head().cid.toString());
  assert.deepEqual(cids(a.lineage.ancestry()), cids(b.lineage.ancestry()));
  assert.deepEqual(cids(a.lineage.pending()), cids(b.lineage.pending()));
}

test("after one exchange each way two peers agree, whatever either did on its own", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(1_000_000), fc.integer({ min: 1, max: 24 }), async (seed, steps) => {
      const { a, b } = await pair();
      const random = createRandom("history", seed);
      for (let step = 0; step < steps; step++) {
        const peer = random.integer(2) === 0 ? a : b;
        const { lineage } = peer;
        const pending = lineage.pending();
        if (pending.length > 0 && random.uniform() < 0.4)
          await peer.ingest(versionBlock(lineage.head(), pending));
        else {
          const key = keys[random.integer(keys.length)]!;
          const { bytes } = await seal(lineage.head(), key, step, random.integer(2), random.integer(2));
          await peer.ingest(bytes);
        }
        // They meet now and then, so that histories share a beginning and fork.
        if (random.uniform() < 0.1) await a.antiEntropy.ask("b", never);
      }
      await a.antiEntropy.ask("b", never);
      await b.antiEntropy.ask("a", never);
      assertSame(a, b);
      assert.deepEqual([...a.lines, ...b.lines], [], "no honest record is refused");
    }),
    { numRuns: 25 },
  );
});

test("what does not fit into one answer comes in several", async () => {
  const { wire, a, b } = await pair();
  let bytes = 0;
  for (const key of [...keys, await generateKeyPair("Ed25519")])
    for (let round = 0; round < 50; round++)
      for (let of = 0; of < 4; of++) {
        const block = await seal(GENESIS, key, round, of >> 1, of & 1);
        bytes += block.bytes.byteLength;
        const signer = peerIdFromPrivateKey(key).toString();
        b.lineage.addContribution(
          knownContribution({ value: Contribution.peek(block.bytes), signer }, block.cid),
        );
        b.blocks.set(block.cid.toString(), block.bytes);
      }
  await a.antiEntropy.ask("b", never);
  assertSame(a, b);
  assert.equal(a.lineage.pending().length, 2200);
  assert.ok(wire.requests > 1, `${wire.requests} answers for ${bytes} bytes`);
});

test("an exchange that is under way serves all who ask for it", async () => {
  const { wire, a, b } = await pair();
  await b.ingest((await seal(GENESIS, keys[0]!)).bytes);
  await Promise.all([a.antiEntropy.ask("b", never), a.antiEntropy.ask("b", never)]);
  assert.equal(wire.requests, 2, "a digest, then what differs");
  await a.antiEntropy.ask("b", never);
  assert.equal(wire.requests, 3, "but a later one asks again");
});

test("peers that know the same tell each other no more than a digest, however much they know", async () => {
  const { wire, a, b } = await pair();
  for (let round = 0; round < 40; round++) {
    const { bytes } = await seal(b.lineage.head(), keys[0]!, round);
    await b.ingest(bytes);
    if (round < 39) await b.ingest(versionBlock(b.lineage.head(), b.lineage.pending()));
  }
  await a.antiEntropy.ask("b", never);
  assertSame(a, b);
  wire.bytes = 0;
  await b.antiEntropy.ask("a", never);
  assert.ok(wire.bytes < 300, `${wire.bytes} bytes`);
  await a.ingest((await seal(a.lineage.head(), keys[1]!, 39)).bytes);
  await b.antiEntropy.ask("a", never);
  assertSame(a, b);
});

test("an ask of another run, or none at all, is refused", async () => {
  const { wire, b } = await pair();
  const handler = wire.handlers.get(b.name)!;
  const ask = (run: typeof RUN_ID): Uint8Array => Ask.encode({ run, modules: [] }).bytes;
  await assert.rejects(handler("a", ask(cidOf("another run"))), InvalidObjectError);
  await assert.rejects(handler("a", new Uint8Array(2 << 20)), InvalidObjectError);
  await assert.rejects(handler("a", Uint8Array.of(0xff)), InvalidObjectError);
  assert.deepEqual(Answer.decode(await handler("a", ask(RUN_ID))), { records: [], more: false });
});

test("an ask about modules and versions that do not exist is answered", async () => {
  const { wire, b } = await pair();
  await b.ingest((await seal(GENESIS, keys[0]!)).bytes);
  const invented = { versions: [cidOf("x")], contributions: [cidOf("y")] };
  const modules = [MODULE, "upper/9", "constructor"].map((module) => ({ module, ...invented }));
  const bytes = await wire.handlers.get(b.name)!("a", Ask.encode({ run: RUN_ID, modules }).bytes);
  assert.equal(Answer.decode(bytes).records.length, 1);
});

/** A peer `b` that says that it has more, and then answers an honest `a` as it likes. */
async function against(answer: (turn: number) => Promise<Uint8Array>): Promise<{ wire: Wire; a: Peer }> {
  const wire = new Wire();
  const a = await createPeer(wire, "a");
  let turn = 0;
  const more = Answer.encode({ records: [], more: true }).bytes;
  wire.handlers.set("b", async (_from, question) =>
    kindOf(question) === Digest.kind ? more : answer(turn++),
  );
  return { wire, a };
}

test("an answer that is oversized or no answer ends the exchange with an expected error", async () => {
  for (const bytes of [new Uint8Array(2 << 20), new Uint8Array(), Uint8Array.of(0xa0), Uint8Array.of(0xff)]) {
    const { a } = await against(async () => bytes);
    await assert.rejects(a.antiEntropy.ask("b", never), InvalidObjectError);
  }
});

test("garbage among the records is refused with a line, and the rest is taken", async () => {
  const { bytes: good } = await seal(GENESIS, keys[0]!);
  const forged = good.slice();
  forged[forged.length - 1]! ^= 1;
  const foreign = await Contribution.seal(
    { ...Contribution.peek(good), run: cidOf("another run") },
    keys[0]!,
  );
  const hostile = [new Uint8Array(), Uint8Array.of(1, 2, 3), forged, foreign.bytes, new Uint8Array(100_000)];
  const { a } = await against(async () => Answer.encode({ records: [...hostile, good], more: false }).bytes);
  await a.antiEntropy.ask("b", never);
  assert.equal(a.lines.length, hostile.length);
  assert.equal(a.lineage.pending().length, 1);
  assert.deepEqual(a.lineage.pending()[0]?.signer, peerIdFromPrivateKey(keys[0]!).toString());
});

test("a peer that always has more, but nothing that counts, is soon left", async () => {
  const { bytes: known } = await seal(GENESIS, keys[0]!);
  const orphan = (salt: number): Uint8Array => {
    const parent = { ...GENESIS, cid: cidOf(`invented ${salt}`) };
    return versionBlock(parent, [{ cid: cidOf("c"), tokens: 1 } as KnownContribution], salt);
  };
  const answers: ((turn: number) => Uint8Array[])[] = [
    () => [],
    () => [known],
    () => [orphan(0)],
    // Always new, and never to be placed.
    (turn) => [orphan(turn)],
  ];
  for (const records of answers) {
    const { wire, a } = await against(
      async (turn) => Answer.encode({ records: records(turn), more: true }).bytes,
    );
    await a.antiEntropy.ask("b", never);
    assert.ok(wire.requests <= 3, `${wire.requests} requests`);
  }
});

test("a peer that cannot be asked, or a stop, ends the exchange with the reason; the next one starts afresh", async () => {
  let reachable = false;
  const { a } = await against(async () => {
    if (!reachable) throw new UnavailableError("no route");
    return Answer.encode({ records: [], more: false }).bytes;
  });
  await assert.rejects(a.antiEntropy.ask("b", never), UnavailableError);
  reachable = true;
  await assert.rejects(
    a.antiEntropy.ask("b", AbortSignal.abort(new Error("the peer stops"))),
    /the peer stops/,
  );
  await a.antiEntropy.ask("b", never);
});

test("bytes that do not decode, or are about another run, are held against who sent them", async () => {
  const wire = new Wire();
  const offences: string[] = [];
  const antiEntropy = createAntiEntropy({
    clock: systemClock,
    network: wire.network("self"),
    run: RUN_ID,
    lineages: new Map([[MODULE, new Lineage(createInit())]]),
    blockOf: async () => undefined,
    ingest: async () => false,
    offended: (peer, reason) => offences.push(`${peer}: ${reason}`),
    log: createLogger("error", () => {}),
  });
  await antiEntropy.start();
  const ask = (bytes: Uint8Array) => wire.network("eve").request("self", "", bytes);
  await assert.rejects(ask(Uint8Array.of(1, 2)), InvalidObjectError);
  await assert.rejects(ask(Ask.encode({ run: cidOf("another run"), modules: [] }).bytes), InvalidObjectError);
  Answer.decode(await ask(Ask.encode({ run: RUN_ID, modules: [] }).bytes));
  wire.handlers.set("eve", async () => Uint8Array.of(3));
  await assert.rejects(antiEntropy.ask("eve", patient), InvalidObjectError);
  assert.equal(offences.length, 3);
  assert.ok(offences.every((offence) => offence.startsWith("eve: ")));
});
