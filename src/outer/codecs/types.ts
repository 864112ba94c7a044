/** One way to write numbers. Every layout is little-endian, and its length follows from the number of elements. */
export interface Codec {
  /** Bytes of so many elements. */
  bytes(elements: number): number;
  /** Encodes finite numbers. */
  encode(values: Float32Array): Uint8Array;
  /**
   * Decodes exactly `values.length` numbers, in as many bytes as these take, into `values`. Throws InvalidObjectError
   * when the layout forbids a byte; whether all numbers are finite, the caller looks.
   */
  decode(bytes: Uint8Array, values: Float32Array): void;
}
