/** The peer's Ed25519 key on disk: whoever has the file is the peer. */
import { randomUUID } from "node:crypto";
import { link, mkdir, open, readFile, stat, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from "@libp2p/crypto/keys";
import type { PrivateKey } from "@libp2p/interface";
import { messageOf, StorageError } from "../errors.ts";
import { type Logger, silentLogger } from "../log.ts";

/** A peer's key in its directory, and the one with which commands look at a run beside a running peer. */
export const IDENTITY_FILE = "identity.key";
export const OBSERVER_FILE = "observer.key";

/**
 * Reads the key at `path`, or creates it (mode 0600, never seen half-written) when there is none. The
 * file holds the key as libp2p's protobuf in base64. Throws StorageError when it cannot be read, written
 * or understood; warns when others may read it.
 */
export async function loadIdentity(path: string, log: Logger = silentLogger): Promise<PrivateKey> {
  try {
    const existing = await readIdentity(path, log);
    if (existing !== undefined) return existing;
    await createIdentity(path);
  } catch (error) {
    if (error instanceof StorageError) throw error;
    throw new StorageError(`The identity file ${path} cannot be used: ${messageOf(error)}.`, {
      cause: error,
    });
  }
  // Read back: another process may have created it first.
  return (await readIdentity(path, log))!;
}

async function readIdentity(path: string, log: Logger): Promise<PrivateKey | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
  const { mode } = await stat(path);
  if (process.platform !== "win32" && (mode & 0o077) !== 0)
    log.warn(`others on this machine may read the identity file ${path}; run: chmod 600 ${path}`);
  try {
    const key = privateKeyFromProtobuf(Buffer.from(text, "base64"));
    if (key.type === "Ed25519") return key;
  } catch {
    // Reported below, as a key of another type is.
  }
  throw new StorageError(
    `The identity file ${path} does not hold an Ed25519 key; restore it from a backup, or delete it to get a new peer id.`,
  );
}

async function createIdentity(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const key = await generateKeyPair("Ed25519");
  // The ending by which the store knows what a killed process left.
  const temporary = `${path}.${randomUUID()}.unfinished`;
  const file = await open(temporary, "wx", 0o600);
  try {
    await file.writeFile(`${Buffer.from(privateKeyToProtobuf(key)).toString("base64")}\n`);
    await file.sync();
    await file.close();
    // Unlike rename, link does not replace a key that another process created meanwhile.
    await link(temporary, path);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  } finally {
    await unlink(temporary);
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
