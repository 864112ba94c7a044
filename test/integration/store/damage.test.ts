/** What becomes of a damaged disk: every kind of block is fetched again, and the database is made again from the blocks. */
import assert from "node:assert/strict";
import { cp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { CID } from "multiformats/cid";
import { encodeShard, openShard } from "../../../src/data/shard.ts";
import { createLogger } from "../../../src/log.ts";
import { Contribution } from "../../../src/objects/contribution.ts";
import { ShardObject, TokenizerObject } from "../../../src/objects/data.ts";
import { Manifest } from "../../../src/objects/manifest.ts";
import { type Block, rawBlocks } from "../../../src/objects/object.ts";
import { Version } from "../../../src/objects/version.ts";
import { createPacks, readChunks } from "../../../src/store/pack.ts";
import type { FetchOptions, Store } from "../../../src/store/types.ts";
import { MODULES, openSequence, ROUNDS, type Sequence } from "../crash/sequence.ts";
import { temporaryDirectory } from "../net/support.ts";
import { contribution, key, samples, version } from "../../unit/objects/samples.ts";
import { fileOf, flipBit } from "../../unit/store/disk.ts";
import { noise, openPeer } from "./support.ts";

/** An object as peers keep it: how it is written, and read wherever its blocks may be. */
interface Kind {
  name: string;
  /** Resolves to its root. */
  write(store: Store): Promise<CID>;
  /** Resolves to all blocks of it. Throws when what it reads is not what was written. */
  read(store: Store, root: CID, options: FetchOptions): Promise<CID[]>;
}

const DOCUMENTS = [Int32Array.of(5, 6, 0), Int32Array.of(7, 0)];
const SHARD = encodeShard(DOCUMENTS, { name: "path 0", endOfText: 0, vocabulary: 10 });
const TOKENIZER = noise(1, 3000);
const TENSORS = noise(2, 4000);

/** An object that is one block. */
function single(name: string, block: Block | Promise<Block>, decode: (bytes: Uint8Array) => unknown): Kind {
  return {
    name,
    async write(store) {
      await store.put([await block]);
      return (await block).cid;
    },
    async read(store, root, options) {
      await decode(await store.get(root, options));
      return [root];
    },
  };
}

const manifest = samples.find(({ name }) => name === "manifest")!;
const kinds: Kind[] = [
  single("manifest", manifest.kind.encode(manifest.value), Manifest.decode),
  single("version", Version.encode(version), Version.decode),
  single("contribution", Contribution.seal(contribution, key), Contribution.open),
  {
    name: "tensors",
    write: (store) =>
      createPacks(store).write({ codec: "int8", tensors: [{ name: "w", shape: [4000] }], bytes: TENSORS }),
    async read(store, root, options) {
      const { pack, bytes } = await createPacks(store).read(root, { ...options, maxBytes: 4000 });
      assert.ok(Buffer.from(bytes).equals(TENSORS));
      return [root, ...pack.chunks];
    },
  },
  {
    name: "shard",
    async write(store) {
      const root = ShardObject.encode(SHARD.object);
      await store.put([root, ...SHARD.blocks]);
      return root.cid;
    },
    async read(store, root, options) {
      const object = ShardObject.decode(await store.get(root, options));
      const shard = await openShard(object, (cid) => store.get(cid, options), {
        vocabulary: 10,
        endOfText: 0,
      });
      assert.deepEqual([...shard.document(1)], [7, 0]);
      return [root, ...object.chunks, ...object.lengths];
    },
  },
  {
    name: "tokenizer",
    async write(store) {
      const blocks = rawBlocks(TOKENIZER);
      const chunks = blocks.map(({ cid }) => cid);
      const root = TokenizerObject.encode({ bytes: TOKENIZER.byteLength, chunks });
      await store.put([...blocks, root]);
      return root.cid;
    },
    async read(store, root, options) {
      const { chunks, bytes } = TokenizerObject.decode(await store.get(root, options));
      const json = await readChunks(store, chunks, bytes, { ...options, maxBytes: 4000 });
      assert.ok(Buffer.from(json).equals(TOKENIZER));
      return [root, ...chunks];
    },
  },
];

const harms: [string, (dir: string, cid: CID) => Promise<void>][] = [
  ["a flipped bit", flipBit],
  ["a cut", (dir, cid) => truncate(fileOf(dir, cid), 3)],
  ["deletion", (dir, cid) => rm(fileOf(dir, cid))],
];

test("any damage to any block of any kind is noticed, and the block fetched again", async (t) => {
  const dir = await temporaryDirectory(t);
  const holder = await openPeer(t, join(dir, "holder"));
  const lines: string[] = [];
  const log = createLogger("warn", (line) => lines.push(line));
  const peer = await openPeer(t, join(dir, "peer"), {}, log);
  await peer.network.dial(holder.network.addresses()[0]!);
  const options = { holders: [holder.network.peerId] };
  const objects: { kind: Kind; root: CID; blocks: CID[] }[] = [];
  for (const kind of kinds) {
    const root = await kind.write(holder.store);
    objects.push({ kind, root, blocks: await kind.read(peer.store, root, options) });
  }
  for (const [what, harm] of harms)
    for (const { kind, root, blocks } of objects) {
      lines.length = 0;
      for (const block of blocks) await harm(join(dir, "peer"), block);
      await kind.read(peer.store, root, options);
      for (const block of blocks) {
        assert.ok(await peer.store.local(block), `${kind.name}: ${what} is mended`);
        const said = lines.filter((line) => line.includes(`${block} on disk is corrupt; it is deleted`));
        assert.equal(said.length, what === "deletion" ? 0 : 1, `${kind.name}: ${what}: ${lines.join("\n")}`);
      }
    }
});

test("what nobody else has is reported in one line that names the block", async (t) => {
  const dir = await temporaryDirectory(t);
  const { store } = await openPeer(t, dir);
  for (const { write, read } of kinds) {
    const root = await write(store);
    const blocks = await read(store, root, {});
    const last = blocks.at(-1)!;
    await flipBit(dir, last);
    await assert.rejects(read(store, root, { signal: AbortSignal.abort() }), (error: Error) => {
      assert.equal(error.name, "UnavailableError");
      assert.match(error.message, new RegExp(`^Cannot fetch 1 of 1 blocks \\(${last} .*\\.$`));
      return true;
    });
  }
});

/** Every record and tensor of the finished run is there. */
async function assertWhole({ lineages, packs, goOn }: Sequence): Promise<void> {
  for (const module of MODULES) {
    const lineage = lineages.get(module)!;
    assert.equal(lineage.head().generation, ROUNDS, module);
    assert.equal(lineage.contributions().length, ROUNDS);
    await packs.read(lineage.head().state["parameters"]!, { maxBytes: 1 << 20, signal: AbortSignal.abort() });
  }
  await goOn(() => assert.fail("nothing is left to do"));
}

test("whatever file of the database is damaged, the peer goes on with all it had, or says what to do so that it does", async (t) => {
  const dir = await temporaryDirectory(t);
  const whole = join(dir, "whole");
  const sequence = await openSequence(whole);
  await sequence.goOn(() => {});
  await sequence.close();
  // A second start turns the log into a table.
  await (await openSequence(whole)).close();
  const files = (await readdir(join(whole, "data"))).filter((name) => !name.startsWith("LO"));
  assert.ok(files.some((name) => name.endsWith(".ldb")) && files.includes("CURRENT"), files.join());

  let refused = 0;
  const harm = async (
    what: string,
    name: string,
    change: (file: string) => Promise<unknown>,
  ): Promise<void> => {
    const harmed = join(dir, "harmed");
    await cp(whole, harmed, { recursive: true });
    await change(join(harmed, "data", name));
    let opened: Sequence;
    try {
      opened = await openSequence(harmed);
    } catch (error) {
      assert.match(
        String(error),
        /^StorageError: .*its database is damaged; delete the folder data in it/,
        what,
      );
      refused++;
      await rm(join(harmed, "data"), { recursive: true });
      opened = await openSequence(harmed);
    }
    try {
      await assertWhole(opened);
    } catch (error) {
      throw new Error(`${name}: ${what}`, { cause: error });
    } finally {
      await opened.close();
      await rm(harmed, { recursive: true });
    }
  };
  for (const name of files) {
    await harm("deleted", name, (file) => rm(file));
    const { length } = await readFile(join(whole, "data", name));
    for (let part = 0; part < 8; part++)
      await harm(`a bit at ${part}/8`, name, async (file) => {
        const bytes = await readFile(file);
        if (bytes.length === 0) return;
        bytes[Math.floor((length * part) / 8)]! ^= 8;
        await writeFile(file, bytes);
      });
  }
  assert.ok(refused > 0, "some of it LevelDB notices itself");
});
