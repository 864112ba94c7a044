import { stat } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { getFileNameLowLevel, openPromise } from "yauzl";
import { ContentProblem, reasonOf } from "../problem.ts";
import { Expansion } from "../unpack/expansion.ts";

/** A file of an archive. */
interface Member {
  /** Its name in the archive, as it stands there: nothing is written under it. */
  name: string;
  bytes: AsyncIterable<Buffer>;
}

/** A member that can be read, or why it, or all from there on, cannot. */
export type MemberOrProblem = Member | { name: string; problem: string };

/** The members of a .zip file in the order of its directory, without folders and names that start with a dot. */
export async function* readZip(path: string): AsyncGenerator<MemberOrProblem> {
  let zip;
  const expansion = new Expansion();
  try {
    expansion.packed((await stat(path)).size);
    // Names are not checked by the library, which would end at the first that leads out of the archive.
    zip = await openPromise(path, { decodeStrings: false, autoClose: false });
  } catch (error) {
    yield {
      name: "",
      problem: damaged(error, "it is no whole zip file: it is cut off, or was fetched in part"),
    };
    return;
  }
  try {
    for await (const entry of zip.eachEntry()) {
      const { generalPurposeBitFlag: flags, fileNameRaw, extraFields } = entry;
      const name = getFileNameLowLevel(flags, fileNameRaw, extraFields, false);
      const isHidden = name.split("/").some((part) => part.startsWith(".") && !/^\.\.?$/.test(part));
      if (name.endsWith("/") || name.startsWith("__MACOSX/") || isHidden) continue;
      if (entry.isEncrypted())
        yield { name, problem: "it is encrypted; unpack the archive with its password" };
      else if (!entry.canDecodeFileData())
        yield { name, problem: "it is packed in a way that cannot be read; unpack the archive with unzip" };
      else {
        const stream = await zip.openReadStreamPromise(entry).catch((error: unknown) => damaged(error));
        if (typeof stream === "string") yield { name, problem: stream };
        else
          try {
            yield { name, bytes: checked(stream, entry.crc32, expansion) };
          } finally {
            stream.destroy();
          }
      }
    }
  } catch (error) {
    yield { name: "", problem: damaged(error) };
  } finally {
    zip.close();
  }
}

/** The bytes of a member. Throws ContentProblem when they are not those that were packed, or far too many. */
async function* checked(
  stream: AsyncIterable<Buffer>,
  expected: number,
  expansion: Expansion,
): AsyncGenerator<Buffer> {
  let checksum = 0;
  try {
    for await (const chunk of stream) {
      expansion.check(chunk.byteLength);
      checksum = crc32(chunk, checksum);
      yield chunk;
    }
  } catch (error) {
    throw new ContentProblem(damaged(error), { cause: error });
  }
  if (checksum !== expected) throw new ContentProblem(damaged(new Error("its checksum is wrong")));
}

/** What is wrong with an archive, in place of the words of the library, which say nothing of what to do. */
function damaged(error: unknown, problem = `it is damaged (${reasonOf(error)})`): string {
  const isSaid = error instanceof ContentProblem || (error instanceof Error && "syscall" in error);
  return isSaid ? reasonOf(error) : `${problem}; fetch the archive again`;
}
