/** Where the items of a CBOR text lie, so that hostile bytes can be made of valid ones. */

/** One data item: its head says major type and argument (RFC 8949 section 3). */
export interface CborItem {
  at: number;
  /** Where the head ends and the content begins. */
  content: number;
  end: number;
  major: number;
  /** Items that contain this one. */
  depth: number;
}

/** All items of the bytes in order, outermost first. Stops at the first thing that is not definite CBOR. */
export function cborItems(bytes: Uint8Array): CborItem[] {
  const items: CborItem[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

  const argument = (at: number): { value: number; content: number } => {
    const low = bytes[at]! & 31;
    if (low < 24) return { value: low, content: at + 1 };
    if (low === 24) return { value: view.getUint8(at + 1), content: at + 2 };
    if (low === 25) return { value: view.getUint16(at + 1), content: at + 3 };
    if (low === 26) return { value: view.getUint32(at + 1), content: at + 5 };
    if (low === 27) return { value: Number(view.getBigUint64(at + 1)), content: at + 9 };
    throw new RangeError("not a definite item");
  };
  const read = (at: number, depth: number): number => {
    if (at >= bytes.byteLength || depth > 64) throw new RangeError("no item");
    const major = bytes[at]! >> 5;
    const { value, content } = argument(at);
    const item = { at, content, end: content, major, depth };
    items.push(item);
    if (major === 2 || major === 3) item.end = content + value;
    const children = major === 4 ? value : major === 5 ? 2 * value : major === 6 ? 1 : 0;
    for (let child = 0; child < children; child++) item.end = read(item.end, depth + 1);
    if (item.end > bytes.byteLength) throw new RangeError("cut short");
    return item.end;
  };
  try {
    read(0, 0);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return items.filter(({ end }) => end <= bytes.byteLength);
}

/** A head with the argument in the given number of bytes (0, 1, 2, 4 or 8), or the shortest. */
export function cborHead(major: number, argument: bigint, width?: 0 | 1 | 2 | 4 | 8): Uint8Array {
  const shortest =
    argument < 24n ? 0 : argument < 1n << 8n ? 1 : argument < 1n << 16n ? 2 : argument < 1n << 32n ? 4 : 8;
  const size = width ?? shortest;
  const head = Buffer.alloc(1 + size);
  const low = size === 0 ? Number(argument & 15n) : 24 + Math.log2(size);
  head[0] = (major << 5) | low;
  for (let byte = 0; byte < size; byte++) head[size - byte] = Number((argument >> BigInt(8 * byte)) & 255n);
  return head;
}
