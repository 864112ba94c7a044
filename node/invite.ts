/** The invite that a command was given. */
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { messageOf, UsageError } from "../src/errors.ts";
import { decodeInvite, type Invite } from "../src/run/invite.ts";
import { readInvite } from "../src/store/invite-file.ts";

export interface InviteFlags {
  invite?: string | undefined;
  "invite-file"?: string | undefined;
}

/** Undefined when there is none. Throws UsageError and InviteError. */
export async function givenInvite({ invite, "invite-file": file }: InviteFlags): Promise<Invite | undefined> {
  if (file === undefined) return invite === undefined ? undefined : decodeInvite(invite);
  if (invite !== undefined)
    throw new UsageError("Give the invite as an argument or with --invite-file, not both.");
  try {
    return decodeInvite(await (file === "-" ? text(process.stdin) : readFile(file, "utf8")));
  } catch (error) {
    if (error instanceof Error && "code" in error)
      throw new UsageError(`The invite file cannot be read: ${messageOf(error)}.`);
    throw error;
  }
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
