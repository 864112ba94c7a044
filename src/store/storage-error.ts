import { messageOf, StorageError } from "../errors.ts";

const DAMAGED =
  "its database is damaged; delete the folder data in it and start again, and what it held is read back from the blocks beside it";
const UNREADABLE = "the disk cannot be read or written there; check it, or choose another directory";

const REASONS: [code: string, reason: string][] = [
  ["ENOSPC", "the disk is full; free some space and start again"],
  // LevelDB passes the system's words on, without a code.
  ["No space left on device", "the disk is full; free some space and start again"],
  ["Read-only file system", "the disk is read-only; choose another directory"],
  ["Permission denied", "this user may not write there; choose another directory or change its permissions"],
  ["EDQUOT", "the disk quota is used up; free some space and start again"],
  ["EROFS", "the disk is read-only; choose another directory"],
  ["EACCES", "this user may not write there; choose another directory or change its permissions"],
  ["EPERM", "this user may not write there; choose another directory or change its permissions"],
  ["ENOTDIR", "a part of that path is a file; choose another directory"],
  ["EEXIST", "there is a file of that name; choose another directory"],
  ["EIO", UNREADABLE],
  ["Input/output error", UNREADABLE],
  ["EMFILE", "too many files are open; raise the limit (ulimit -n)"],
  ["Corruption", DAMAGED],
  ["LEVEL_LOCKED", "another process uses it; stop that one or choose another directory"],
  // Last, since LevelDB says it of all that the system refuses: here, a part of it is gone.
  ["LEVEL_IO_ERROR", DAMAGED],
];

/** Whether an error of the file system has this code. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/** Turns what a disk or database refused into one line. The stores below us keep only the text of an error. */
export function storageError(error: unknown, directory: string): StorageError {
  if (error instanceof StorageError) return error;
  const texts = [];
  for (let at = error; at instanceof Error; at = at.cause)
    texts.push("code" in at ? at.code : "", at.message);
  const text = texts.join(" ");
  const reason = REASONS.find(([code]) => text.includes(code))?.[1] ?? messageOf(error);
  return new StorageError(`Cannot use ${directory}: ${reason.replace(/\.$/, "")}.`, { cause: error });
}
