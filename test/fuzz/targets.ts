/**
 * Every decoder that takes bytes from the network or a disk: valid inputs to start from, and the error that it is
 * documented to throw for any other.
 */
import { FILES } from "./targets/files.ts";
import { MESSAGES } from "./targets/messages.ts";
import { OBJECTS } from "./targets/objects.ts";
import type { Target } from "./targets/target.ts";
import { TEXTS } from "./targets/texts.ts";

export const TARGETS: readonly Target[] = [...MESSAGES, ...OBJECTS, ...TEXTS, ...FILES];
