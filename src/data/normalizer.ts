/** How a tokenizer changes text before it is cut, as Hugging Face's Rust library does it. */
import { z } from "zod";
import { nameOf, partsOf } from "./pre-tokenizer.ts";
import { unsupported } from "./tokenizer-support.ts";

const schema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("NFC") }),
  z.object({ type: z.literal("Lowercase") }),
  z.object({ type: z.literal("Prepend"), prepend: z.string() }),
  z.object({
    type: z.literal("Replace"),
    pattern: z.object({ String: z.string().min(1) }),
    content: z.string(),
  }),
]);

/** Throws CorpusError for a normalizer that is not supported. */
export function createNormalizer(config: unknown): (text: string) => string {
  const steps = partsOf(config, "normalizers").map((part): ((text: string) => string) => {
    const parsed = schema.safeParse(part);
    if (!parsed.success) throw unsupported(`normalizer ${nameOf(part)}`);
    switch (parsed.data.type) {
      case "NFC":
        return (text) => text.normalize("NFC");
      case "Lowercase":
        // Character by character: JavaScript would write a sigma at the end of a word otherwise.
        return (text) => Array.from(text, (character) => character.toLowerCase()).join("");
      case "Prepend": {
        const { prepend } = parsed.data;
        return (text) => (text === "" ? text : prepend + text);
      }
      case "Replace": {
        const { pattern, content } = parsed.data;
        return (text) => text.replaceAll(pattern.String, () => content);
      }
    }
  });
  return (text) => steps.reduce((result, step) => step(result), text);
}
