/** The blocks as Helia wants to see them. It reads them for other peers only. */
import { NotFoundError } from "@libp2p/interface";
import type { createHeliaLight } from "helia";
import type { CheckedBlockstore } from "./blockstore.ts";

type Blockstore = NonNullable<NonNullable<Parameters<typeof createHeliaLight>[0]>["blockstore"]>;

export function heliaBlockstore(blocks: CheckedBlockstore): Blockstore {
  const own: Blockstore = {
    has: (cid) => blocks.has(cid),
    async *get(cid) {
      const bytes = await blocks.serve(cid);
      if (bytes === undefined) throw new NotFoundError(`${cid.toString()} is not on this disk`);
      yield bytes;
    },
    async put(cid, bytes) {
      if (!(bytes instanceof Uint8Array)) throw new TypeError("a block comes whole");
      await blocks.put(cid, bytes);
      return cid;
    },
    delete: (cid) => blocks.delete(cid),
    async *getAll() {
      for await (const cid of blocks.cids()) yield { cid, bytes: own.get(cid) };
    },
    async *getMany(source) {
      for await (const cid of source) yield { cid, bytes: own.get(cid) };
    },
    async *putMany(source) {
      for await (const { cid, bytes } of source) yield await own.put(cid, bytes);
    },
    async *deleteMany(source) {
      for await (const cid of source) {
        await blocks.delete(cid);
        yield cid;
      }
    },
  };
  return own;
}
