import { LRUCache } from "lru-cache";

/**
 * A map of at most `max` entries that forgets the least recently used one. `peek` and `has` are no use, `get` and
 * `set` are. It yields the latest used first. It takes no memory before it needs it, unlike an LRUCache with `max`.
 *
 * A Map that deletes its first key at every insertion would do, too, but slowly: V8 passes over deleted keys, so a
 * stranger that makes a peer remember much could keep it busy (docs/log.md).
 */
export function boundedMap<K extends {}, V extends {}>(max: number): LRUCache<K, V> {
  return new LRUCache({ maxSize: max, sizeCalculation: () => 1 });
}
