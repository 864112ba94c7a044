/**
 * The pre-shared key of a private swarm, as the contents of a libp2p swarm key file, which other IPFS
 * implementations read, too. It travels in invites. No error and no log line shows it.
 */
import { readFile } from "node:fs/promises";
import { generateKey, preSharedKey } from "@libp2p/pnet";
import type { ConnectionProtector } from "@libp2p/interface";
import { messageOf, UsageError } from "../errors.ts";
import { decodeInvite } from "../run/invite.ts";

const FILE_BYTES = 95;

/** A new key: 32 random bytes. */
export function createSwarmKey(): Uint8Array {
  const key = new Uint8Array(FILE_BYTES);
  generateKey(key);
  return key;
}

/** Encrypts connections with the key before anything else is said. Throws UsageError when it is none. */
export function swarmKeyProtector(key: Uint8Array): ConnectionProtector {
  try {
    return preSharedKey({ psk: key })();
  } catch {
    // Without the cause, which may show the key.
    throw new UsageError(
      "The swarm key is malformed: expected /key/swarm/psk/1.0.0/, /base16/ and 64 hex digits, each on a line of its own.",
    );
  }
}

/** Reads a key from a swarm key file, or from an invite that holds one. Throws UsageError. */
export async function readSwarmKey(path: string): Promise<Uint8Array> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new UsageError(
      `The swarm key cannot be read: ${messageOf(error)}. Give a swarm key file or an invite to a private swarm.`,
    );
  }
  const given = text.trim();
  const key = given.startsWith("pathweave") ? decodeInvite(given).swarmKey : Buffer.from(given);
  if (key === undefined) throw new UsageError(`The invite in ${path} is to an open swarm and holds no key.`);
  swarmKeyProtector(key);
  return key;
}
