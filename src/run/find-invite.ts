/** Finds an invite in whatever was pasted: quotes, the command before it, line breaks inside, a whole mail. Pure. */
import { InviteError } from "../errors.ts";
import { decodeInvite } from "./invite.ts";

/** A text of more characters is no mail any more. */
const MAX_CHARACTERS = 1 << 20;
/** What a line break leaves between two parts of an invite: white space, signs of a quotation, a shell's backslash. */
const BREAK = String.raw`(?:\\?\s+(?:[>|]\s*)*)`;
const START = new RegExp("pathweave".split("").join(`${BREAK}?`) + String.raw`${BREAK}?(?=\d)`, "giu");
const PART = new RegExp(`(${BREAK}?)([a-z2-7]+|1[a-z2-7]*)`, "iuy");
/** Characters that are there and not seen. */
const INVISIBLE = /[\u00AD\u200B-\u200D\u2060\uFEFF]/gu;
/** Shorter ones are words of a sentence, such as "pathweave1". */
const LEAST_CHARACTERS = 40;
/** Parts of one invite that are tried: one a line, of at most 32,768 characters. */
const MAX_PARTS = 1024;

/**
 * The one invite of a text, ready for `decodeInvite`. A text without one is returned as it is, so that decoding it says
 * what is wrong with it. Throws InviteError when there are several different ones.
 */
export function findInvite(text: string): string {
  if (text.length > MAX_CHARACTERS)
    throw new InviteError(`An invite of ${text.length} characters is too long; copy only the invite.`);
  const candidates = candidatesOf(text.replaceAll(INVISIBLE, ""));
  const valid = new Set(candidates.filter(({ isValid }) => isValid).map(({ invite }) => invite));
  if (valid.size > 1)
    throw new InviteError(`There are ${valid.size} different invites in this text; give only one of them.`);
  const [found] = valid;
  return found ?? candidates.find(({ invite }) => invite.length >= LEAST_CHARACTERS)?.invite ?? text;
}

/** Whether a text is meant to hold an invite, which may still be mistyped. */
export function holdsInvite(text: string): boolean {
  return candidatesOf(text).some(({ invite, isValid }) => isValid || invite.length >= LEAST_CHARACTERS);
}

/** Words of a command that people copy along with an invite. */
const COPIED = new Set("$ npx npm run node pathweave -- join status eval audit generate export".split(" "));
/** The program of a checkout or of a package, wherever it lies. */
const PROGRAM = /(^|[\\/])node[\\/]launch\.js$/;

function isCopied(word: string): boolean {
  return COPIED.has(word) || PROGRAM.test(word);
}

/**
 * The arguments of a command line whose invite is one word: without the words of a copied command before it, and
 * together with the rest of it where it was broken into several.
 */
export function gatherInvite(args: readonly string[]): string[] {
  const at = args.findIndex((arg, index) => index > 0 && !arg.startsWith("-") && holdsInvite(arg));
  if (at < 0) return [...args];
  let start = at;
  while (start > 1 && isCopied(args[start - 1]!)) start--;
  // The word after a flag is its value, whatever it says.
  const before = args[start - 1]!;
  if (start < at && before.startsWith("--") && before !== "--" && !before.includes("=")) start++;
  let invite = args[at]!;
  let end = at + 1;
  while (!isValid(invite) && /^[a-z2-7]+$/iu.test(args[end] ?? "")) invite += args[end++]!;
  return [...args.slice(0, start), ...(isValid(invite) ? [invite] : args.slice(at, end)), ...args.slice(end)];
}

function isValid(text: string): boolean {
  try {
    decodeInvite(findInvite(text));
    return true;
  } catch {
    return false;
  }
}

/** Every start of an invite, with as much of what follows as makes it whole by its checksum; else with its first part. */
function candidatesOf(text: string): { invite: string; isValid: boolean }[] {
  return [...text.matchAll(START)].map(({ 0: start, index }) => {
    PART.lastIndex = index + start.length;
    let invite = "pathweave";
    let first: string | undefined;
    for (let parts = 0; parts < MAX_PARTS; parts++) {
      const match = PART.exec(text);
      if (match === null) break;
      invite += match[2]!.toLowerCase();
      if (decodes(invite)) return { invite, isValid: true };
      first ??= invite;
    }
    // Without a checksum that fits, what follows a space may be any word; what follows a line break rather not.
    return { invite: first ?? invite, isValid: false };
  });
}

function decodes(invite: string): boolean {
  try {
    decodeInvite(invite);
    return true;
  } catch {
    return false;
  }
}
