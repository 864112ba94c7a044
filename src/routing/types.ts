/** Sends a document to a path by the features of its prefix. */
export interface Router {
  readonly paths: number;
  readonly prefixTokens: number;
  /** Number of features. */
  readonly width: number;
  /** Paths from nearest to farthest for one feature vector (width). */
  rank(features: Float32Array): number[];
}
