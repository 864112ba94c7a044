import { distance } from "fastest-levenshtein";

const plain = (text: string): string => text.toLowerCase().replaceAll(/[^a-z0-9]/g, "");

/** The candidate nearest to a misspelt name; case, hyphens and underscores do not count. Undefined without candidates. */
export function nearestName(name: string, candidates: Iterable<string>): string | undefined {
  const wanted = plain(name.slice(0, 100));
  let best: { candidate: string; edits: number } | undefined;
  for (const candidate of candidates) {
    const edits = distance(wanted, plain(candidate));
    if (best === undefined || edits < best.edits) best = { candidate, edits };
  }
  return best?.candidate;
}
