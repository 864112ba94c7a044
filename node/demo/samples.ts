/** What the paths of the trained model write. */
import { createEngine } from "../../src/engine/engine.ts";
import type { Peer } from "../../src/peer/types.ts";
import { generate } from "../../src/use/generate.ts";
import { modelOfPeer, pathParameters, routeDocuments, seedParameters } from "../../src/use/path-model.ts";
import type { Progress } from "../output.ts";
import { DEMO_DEVICE } from "./run.ts";

export interface Sample {
  path: number;
  prompt: string;
  text: string;
}

/** Lets every path continue the start of a held-out document that the router sends to it. */
export async function writeSamples(
  peer: Peer,
  seed: number,
  progress: Progress,
  signal: AbortSignal,
): Promise<Sample[]> {
  const tokenizer = await peer.tokenizer();
  const validation = await peer.shard(peer.manifest.validation);
  const { prefixTokens } = peer.manifest.config.routing;
  const { endOfText } = validation;
  const model = modelOfPeer(peer);
  const prompts = Array.from({ length: validation.documents }, (_, index) =>
    validation.document(index).slice(0, prefixTokens),
  ).filter((prompt) => prompt.length === prefixTokens);
  const engine = await createEngine({ shape: peer.shape, batchSize: 1, ...DEMO_DEVICE });
  const samples: Sample[] = [];
  try {
    let index = 0;
    for await (const path of routeDocuments(prompts, {
      router: await peer.router(),
      seed: await seedParameters(model, signal),
      shape: peer.shape,
      device: DEMO_DEVICE,
      endOfText,
      batchSize: 1,
    })) {
      const prompt = prompts[index++]!;
      if (samples.some((sample) => sample.path === path)) continue;
      const ids: number[] = [];
      const options = {
        sequenceLength: peer.shape.sequenceLength,
        tokens: 40,
        temperature: 0.7,
        topP: 1,
        endOfText,
        seed,
      };
      for await (const id of generate(engine, await pathParameters(model, path, signal), prompt, options)) {
        ids.push(id);
        progress.update(`path ${path} writes: ${tokenizer.decode(ids)}`);
      }
      samples.push({ path, prompt: tokenizer.decode(prompt), text: tokenizer.decode(ids) });
      if (samples.length === peer.topology.paths) break;
    }
  } finally {
    await engine.close();
  }
  return samples.toSorted((a, b) => a.path - b.path);
}
