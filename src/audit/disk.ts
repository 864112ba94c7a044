/** Reads the data folder of a peer as it lies there, without any of the peer's own code. Nothing is written. */
import { createHash } from "node:crypto";
import type { Dirent } from "node:fs";
import { readFile, readdir } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import { base32upper } from "multiformats/bases/base32";
import type { CID } from "multiformats/cid";
import * as Digest from "multiformats/hashes/digest";
import { InvalidObjectError, messageOf, StorageError } from "../errors.ts";
import { Announcers } from "../objects/announcers.ts";
import { Contribution } from "../objects/contribution.ts";
import { Manifest } from "../objects/manifest.ts";
import { dagCborCid, kindOf, matches } from "../objects/object.ts";
import { Version } from "../objects/version.ts";
import type { Announcer, Blocks, Disk, Folder, RecordedContribution, RecordedVersion } from "./types.ts";

/** Block files are named by multihash in upper-case base32, in folders named by its last two characters. */
const EXTENSION = ".data";
const SHA2_256 = 0x12;

function pathOf(cid: CID): string {
  const name = base32upper.encode(cid.multihash.bytes);
  return `blocks/${name.slice(-2)}/${name}${EXTENSION}`;
}

/** Whether the bytes are what the name of their file says. */
function isNamed(file: string, bytes: Uint8Array): boolean {
  try {
    const { code, digest } = Digest.decode(base32upper.decode(basename(file, EXTENSION)));
    return code === SHA2_256 && createHash("sha256").update(bytes).digest().equals(digest);
  } catch {
    return false;
  }
}

/** A folder of this machine. */
function folderAt(directory: string): Folder {
  return {
    name: basename(resolve(directory)),
    async blocks() {
      let entries: Dirent[];
      try {
        entries = await readdir(join(directory, "blocks"), { recursive: true, withFileTypes: true });
      } catch (error) {
        throw new StorageError(
          `${directory} is not the data folder of a peer (${messageOf(error)}); give the folder that --data named.`,
        );
      }
      return entries
        .filter((entry) => entry.isFile())
        .map((entry) => relative(directory, join(entry.parentPath, entry.name)));
    },
    async read(path) {
      const file = join(directory, path);
      try {
        return await readFile(file);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw new StorageError(`Cannot read ${file}: ${messageOf(error)}.`);
      }
    },
  };
}

/** Reads every block once. Throws StorageError when the folder is none of a peer. */
export async function readDisk(given: string | Folder): Promise<Disk> {
  const folder = typeof given === "string" ? folderAt(given) : given;
  const where = typeof given === "string" ? given : given.name;
  const manifests = new Map<string, Manifest>();
  const versions = new Map<string, RecordedVersion>();
  const contributions = new Map<string, RecordedContribution>();
  const corrupt: string[] = [];
  let forged = 0;

  /** Files a record under its CID; what only looks like one is left alone, since anybody may write anything. */
  async function file(bytes: Uint8Array): Promise<void> {
    const kind = kindOf(bytes);
    const cid = dagCborCid(bytes);
    const key = cid.toString();
    try {
      if (kind === Manifest.kind) manifests.set(key, Manifest.decode(bytes));
      else if (kind === Version.kind) versions.set(key, { ...Version.decode(bytes), cid });
      else if (kind === `${Contribution.kind}/signed`) {
        const { value, signer } = await Contribution.open(bytes);
        const { version: base } = value.bases.find(({ module }) => module === value.module)!;
        contributions.set(key, { ...value, base, cid, signer });
      }
    } catch (error) {
      if (!(error instanceof InvalidObjectError)) throw error;
      if (kind === `${Contribution.kind}/signed`) forged++;
    }
  }

  for (const path of (await folder.blocks()).filter((file) => file.endsWith(EXTENSION)).toSorted()) {
    const bytes = await folder.read(path);
    if (bytes === undefined) continue;
    if (isNamed(path, bytes)) await file(bytes);
    else corrupt.push(join(where, path));
  }
  return {
    name: folder.name,
    manifests,
    versions,
    contributions,
    forged,
    corrupt,
    announcers: await readAnnouncers(folder),
    async read(cid) {
      const bytes = await folder.read(pathOf(cid));
      return bytes !== undefined && matches(cid, bytes) ? bytes : undefined;
    },
  };
}

async function readAnnouncers(folder: Folder): Promise<Map<string, Announcer[]>> {
  const bytes = await folder.read("state/announcers.bin");
  if (bytes === undefined) return new Map();
  return new Map(Announcers.decode(bytes).versions.map(({ version, by }) => [version.toString(), by]));
}

/** All disks as one: the first that has the block intact. */
export function together(disks: readonly Blocks[]): Blocks {
  return {
    async read(cid) {
      for (const disk of disks) {
        const bytes = await disk.read(cid);
        if (bytes !== undefined) return bytes;
      }
      return undefined;
    },
  };
}
