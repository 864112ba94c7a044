/** Numbers to 2^32 − 1 that are appended and read again, at 4 bytes each and without ever copying what is there. */
export class NumberList {
  static readonly #CHUNK = 1 << 14;
  readonly #chunks: Uint32Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    const at = this.#length % NumberList.#CHUNK;
    if (at === 0) this.#chunks.push(new Uint32Array(NumberList.#CHUNK));
    this.#chunks.at(-1)![at] = value;
    this.#length++;
  }

  at(index: number): number {
    return this.#chunks[Math.floor(index / NumberList.#CHUNK)]![index % NumberList.#CHUNK]!;
  }
}
