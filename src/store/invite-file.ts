/** The invite that a directory's run was made or joined with. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { decodeInvite, type Invite } from "../run/invite.ts";
import { writeAtomically } from "./atomic-file.ts";
import { hasCode, storageError } from "./storage-error.ts";

/** Undefined when the directory has no run. Throws StorageError, and InviteError when it is damaged. */
export async function readInvite(directory: string): Promise<Invite | undefined> {
  let text: string;
  try {
    text = await readFile(join(directory, "invite"), "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw storageError(error, directory);
  }
  return decodeInvite(text);
}

export async function writeInvite(directory: string, invite: string): Promise<void> {
  try {
    await writeAtomically(join(directory, "invite"), Buffer.from(`${invite}\n`));
  } catch (error) {
    throw storageError(error, directory);
  }
}
