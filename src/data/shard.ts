/** Shards: tokenized documents as raw blocks and one small object that lists them. */
import { endianness } from "node:os";
import type { CID } from "multiformats/cid";
import { CorpusError, InvalidObjectError } from "../errors.ts";
import type { ShardObject } from "../objects/data.ts";
import { type Block, MAX_BLOCK_BYTES, rawBlock } from "../objects/object.ts";
import { fileSpool, memorySpool, type TokenArray } from "./token-spool.ts";
import type { TokenizedShard } from "./types.ts";

/** The schema's limit: 16 GiB of tokens. */
const MAX_CHUNKS = 16_384;
const LENGTH_WIDTH = 4;

export interface ShardOptions {
  name: string;
  /** Id of the token that ends every document. */
  endOfText: number;
  /** Ids are below this; up to 65,536 they take two bytes each. */
  vocabulary: number;
}

/**
 * Writes a shard document by document, so that a corpus larger than memory can be sharded: `add` returns the blocks
 * that have filled up, `finish` the rest and the object.
 */
export class ShardWriter {
  readonly #options: ShardOptions;
  readonly #tokens: ChunkWriter;
  readonly #lengths = new ChunkWriter(LENGTH_WIDTH);
  #documents = 0;
  #count = 0;

  constructor(options: ShardOptions) {
    this.#options = options;
    this.#tokens = new ChunkWriter(options.vocabulary <= 1 << 16 ? 2 : 4);
  }

  /** Documents written so far. */
  get documents(): number {
    return this.#documents;
  }

  /** Tokens written so far, end-of-text included. */
  get tokens(): number {
    return this.#count;
  }

  /** Appends a document, which ends with end-of-text. Throws CorpusError when the shard would pass 16 GiB. */
  add(document: Int32Array): Block[] {
    const { endOfText, vocabulary, name } = this.#options;
    if (document.at(-1) !== endOfText) throw new RangeError("A document must end with end-of-text.");
    for (const id of document)
      if (id < 0 || id >= vocabulary)
        throw new RangeError(`Token ${id} is outside the vocabulary of ${vocabulary}.`);
    const blocks = [...this.#tokens.write(document), ...this.#lengths.write([document.length])];
    this.#documents++;
    this.#count += document.length;
    if (this.#tokens.cids.length >= MAX_CHUNKS)
      throw new CorpusError(`The shard ${name} is over 16 GiB; use more paths or a smaller corpus.`);
    return blocks;
  }

  /** The last blocks and the object. The writer is spent. */
  finish(): { object: ShardObject; blocks: Block[] } {
    const blocks = [...this.#tokens.flush(), ...this.#lengths.flush()];
    return {
      object: {
        name: this.#options.name,
        documents: this.#documents,
        tokens: this.#count,
        width: this.#tokens.width,
        endOfText: this.#options.endOfText,
        chunks: this.#tokens.cids,
        lengths: this.#lengths.cids,
      },
      blocks,
    };
  }
}

/** Encodes a shard that fits into memory. */
export function encodeShard(
  documents: Iterable<Int32Array>,
  options: ShardOptions,
): { object: ShardObject; blocks: Block[] } {
  const writer = new ShardWriter(options);
  const blocks: Block[] = [];
  for (const document of documents) blocks.push(...writer.add(document));
  const { object, blocks: last } = writer.finish();
  return { object, blocks: [...blocks, ...last] };
}

/** Little-endian integers in full blocks; only the last is shorter. */
class ChunkWriter {
  readonly width: 2 | 4;
  readonly cids: CID[] = [];
  #buffer = Buffer.alloc(MAX_BLOCK_BYTES);
  #used = 0;

  constructor(width: 2 | 4) {
    this.width = width;
  }

  write(values: Iterable<number>): Block[] {
    const blocks: Block[] = [];
    for (const value of values) {
      this.#used =
        this.width === 2
          ? this.#buffer.writeUInt16LE(value, this.#used)
          : this.#buffer.writeUInt32LE(value, this.#used);
      if (this.#used === MAX_BLOCK_BYTES) blocks.push(...this.flush());
    }
    return blocks;
  }

  flush(): Block[] {
    if (this.#used === 0) return [];
    // A copy: the blocks outlive this buffer's contents.
    const block = rawBlock(new Uint8Array(this.#buffer.subarray(0, this.#used)));
    this.#used = 0;
    this.cids.push(block.cid);
    return [block];
  }
}

export interface OpenShardOptions {
  /** Entries of the tokenizer; no id may reach it. */
  vocabulary: number;
  /** Id that the run's tokenizer ends documents with. */
  endOfText: number;
  /** Memory and temporary disk that it may take. @default 16 GiB */
  maxBytes?: number;
  /** Tokens of more bytes lie in a temporary file instead of memory. @default 256 MiB */
  memoryBytes?: number;
}

/**
 * Opens a hostile shard: reads all chunks through `chunkBytes` (which checks hashes), and checks that their sizes are
 * what the object says, that every id is in the vocabulary, and that the documents' lengths add up and each
 * document ends with end-of-text. Throws InvalidObjectError.
 */
export async function openShard(
  object: ShardObject,
  chunkBytes: (cid: CID) => Promise<Uint8Array>,
  { vocabulary, endOfText, maxBytes = 2 ** 34, memoryBytes = 2 ** 28 }: OpenShardOptions,
): Promise<TokenizedShard> {
  const { name, documents, tokens, width } = object;
  const refuse = (reason: string): never => {
    throw new InvalidObjectError(`The shard ${JSON.stringify(name)} is invalid: ${reason}.`);
  };
  if (object.endOfText !== endOfText)
    refuse(`it ends documents with token ${object.endOfText}, not ${endOfText}`);
  // What is held: the ids, and an offset per document.
  const held = tokens * width + documents * Float64Array.BYTES_PER_ELEMENT;
  if (held > maxBytes) refuse(`it takes ${held} bytes, over the limit of ${maxBytes}`);

  /** Integers of chunks that are all full but the last. */
  async function* read(cids: CID[], values: number, size: 2 | 4): AsyncGenerator<TokenArray> {
    if (cids.length !== Math.ceil((values * size) / MAX_BLOCK_BYTES))
      refuse(`${cids.length} chunks hold ${values} values`);
    let left = values * size;
    for (const cid of cids) {
      const bytes = await chunkBytes(cid);
      if (bytes.byteLength !== Math.min(left, MAX_BLOCK_BYTES))
        refuse(`a chunk has ${bytes.byteLength} bytes`);
      left -= bytes.byteLength;
      yield littleEndian(bytes, size);
    }
  }

  // Float64 holds every offset; a 32-bit one would end at 4 Gi tokens.
  const offsets = new Float64Array(documents + 1);
  let at = 0;
  for await (const chunk of read(object.lengths, documents, LENGTH_WIDTH))
    for (const length of chunk) {
      if (length === 0) refuse(`document ${at} is empty`);
      offsets[at + 1] = offsets[at]! + length;
      at++;
    }
  if (offsets[documents] !== tokens) refuse(`its documents have ${offsets[documents]} tokens, not ${tokens}`);

  const spool = tokens * width > memoryBytes ? fileSpool(width) : memorySpool();
  let start = 0;
  let document = 0;
  for await (const chunk of read(object.chunks, tokens, width)) {
    for (const id of chunk)
      if (id >= vocabulary) refuse(`token ${id} is outside the vocabulary of ${vocabulary}`);
    for (; document < documents && offsets[document + 1]! <= start + chunk.length; document++)
      if (chunk[offsets[document + 1]! - 1 - start] !== endOfText)
        refuse(`document ${document} does not end with end-of-text`);
    spool.append(chunk);
    start += chunk.length;
  }

  const slice = (from: number, to: number): Int32Array => {
    if (from < 0 || to > tokens || from > to)
      throw new RangeError(`No tokens ${from} to ${to} of ${tokens}.`);
    const result = new Int32Array(to - from);
    spool.read(from, result);
    return result;
  };
  const offset = (index: number): number => {
    const value = offsets[index];
    if (value === undefined) throw new RangeError(`No document ${index} of ${documents}.`);
    return value;
  };
  return {
    documents,
    tokens,
    endOfText,
    offset,
    slice,
    document: (index) => slice(offset(index), offset(index + 1)),
  };
}

/** A copy, since bytes from a store may be unaligned and are not ours to swap. */
function littleEndian(bytes: Uint8Array, width: 2 | 4): Uint16Array | Uint32Array {
  const copy = Buffer.from(new Uint8Array(bytes).buffer);
  if (endianness() === "BE" && width === 2) copy.swap16();
  if (endianness() === "BE" && width === 4) copy.swap32();
  return width === 2
    ? new Uint16Array(copy.buffer, copy.byteOffset, copy.byteLength / 2)
    : new Uint32Array(copy.buffer, copy.byteOffset, copy.byteLength / 4);
}
