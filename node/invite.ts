/** The invite that a command was given. */
import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { InviteError, messageOf, UsageError } from "../src/errors.ts";
import { pathweaveCommand } from "../src/invocation.ts";
import { findInvite } from "../src/run/find-invite.ts";
import { decodeInvite, type Invite } from "../src/run/invite.ts";
import { readInvite } from "../src/store/invite-file.ts";

export interface InviteFlags {
  invite?: string | undefined;
  "invite-file"?: string | undefined;
}

/** Undefined when there is none. Throws UsageError and InviteError. */
export async function givenInvite({ invite, "invite-file": file }: InviteFlags): Promise<Invite | undefined> {
  if (file === undefined) return invite === undefined ? undefined : decodeInvite(findInvite(invite));
  if (invite !== undefined)
    throw new UsageError("There are two invites, one of them in --invite-file; give only one.");
  const name = file === "-" ? "standard input" : file;
  let bytes: Uint8Array;
  try {
    bytes = await (file === "-" ? buffer(process.stdin) : readFile(file));
  } catch (error) {
    throw new UsageError(`The invite file cannot be read: ${messageOf(error)}.`);
  }
  const text = textOf(bytes);
  if (text.trim() === "")
    throw new InviteError(
      `There is nothing in ${name}, which should hold an invite. Write it again on a peer of the run: ${pathweaveCommand("invite")} > lab.invite`,
    );
  try {
    return decodeInvite(findInvite(text));
  } catch (error) {
    throw error instanceof InviteError ? new InviteError(`${name}: ${error.message}`) : error;
  }
}

/** PowerShell writes UTF-16 into the files that it redirects to. */
function textOf(bytes: Uint8Array): string {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return new TextDecoder("utf-16le").decode(bytes);
  if (first === 0xfe && second === 0xff) return new TextDecoder("utf-16be").decode(bytes);
  return new TextDecoder().decode(bytes);
}

/** The given invite, or else the one of the run in a folder. Throws UsageError when there is neither. */
export async function inviteOf(flags: InviteFlags & { data: string }): Promise<Invite> {
  const invite = (await givenInvite(flags)) ?? (await readInvite(flags.data));
  if (invite === undefined)
    throw new UsageError(
      `There is no run in ${flags.data}. Give an invite, or the folder of a peer with --data.`,
    );
  return invite;
}
