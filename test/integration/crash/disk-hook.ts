/**
 * A disk that fails: loaded before a program (`node --import disk-hook.ts program.ts`), it counts every write, flush,
 * rename and removal, and every change of the database, whose own code is native, at its boundary. A write counts
 * twice: before it, and with half of it done. By DISK_FAULT it then, at point DISK_POINT (from 1),
 *
 * - `kill`: kills the process;
 * - `ENOSPC`, `EROFS`, …: makes this and all later changes fail with that code, a write after its half;
 *
 * or at every point, or every DISK_STRIDE-th from the first,
 *
 * - `record`: at these, and before and after each change of the database, where facts that belong together may be torn,
 *   copies DISK_FOLDER to `DISK_RECORD/<point>/kill`, which is what a kill there leaves, and to
 *   `DISK_RECORD/<point>/power` without what was not flushed, which is what a loss of power leaves at worst.
 *
 * Without it, it only counts. The number so far is in DISK_POINTS; the last line on standard output is `points <number>`.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { devNull } from "node:os";
import { join, relative } from "node:path";
import process from "node:process";
import { ClassicLevel } from "classic-level";

const { DISK_FAULT: fault, DISK_POINT, DISK_FOLDER = "", DISK_RECORD = "", DISK_STRIDE = "1" } = process.env;
let points = 0;
let changed = false;
if (fault === "record") fs.mkdirSync(DISK_FOLDER, { recursive: true });
/** Files whose content may still be in memory only. */
const unflushed = new Set<string>();

/** One more thing happens to the disk. Throws, or does not return, when it is to fail. */
function point(what: string): void {
  process.env["DISK_POINTS"] = String(++points);
  const changes = what === "_batch";
  const isEdge = changes || changed;
  changed = changes;
  if (fault === "record") return isEdge || (points - 1) % Number(DISK_STRIDE) === 0 ? record() : undefined;
  if (fault === undefined || points < Number(DISK_POINT)) return;
  if (fault === "kill") process.kill(process.pid, "SIGKILL");
  throw Object.assign(new Error(`${fault}: injected, ${what}`), { code: fault, syscall: what });
}

/** The database as it was when it was last flushed. */
const durableDatabase = join(DISK_RECORD, "database");

function record(): void {
  const to = (name: string): string => join(DISK_RECORD, String(points), name);
  fs.cpSync(DISK_FOLDER, to("kill"), { recursive: true });
  fs.cpSync(DISK_FOLDER, to("power"), { recursive: true });
  for (const file of unflushed) fs.truncateSync(join(to("power"), relative(DISK_FOLDER, file)));
  fs.rmSync(join(to("power"), "data"), { recursive: true, force: true });
  if (fs.existsSync(durableDatabase))
    fs.cpSync(durableDatabase, join(to("power"), "data"), { recursive: true });
}

type Method = (this: unknown, ...args: unknown[]) => Promise<unknown>;

/** Makes a method a point, and says when it is done. */
function wrap(target: object, name: string, done: (args: unknown[], self: unknown) => void = () => {}): void {
  const methods = target as Record<string, Method>;
  const original = methods[name]!;
  methods[name] = async function (...args) {
    point(name);
    const result = await original.apply(this, args);
    done(args, this);
    return result;
  };
}

const { open } = fs.promises;
const handle = await open(devNull, "r");
const handles = Object.getPrototypeOf(handle) as fs.promises.FileHandle;
const { writeFile } = handles;
await handle.close();
const pathOf = new WeakMap<object, string>();

fs.promises.open = async (path, ...rest) => {
  const opened = await open(path, ...rest);
  pathOf.set(opened, String(path));
  return opened;
};

// What Node's does for bytes and `{ mode, flush }`, with a point after the first half.
fs.promises.writeFile = (async (
  path: string,
  data: string,
  { mode, flush }: { mode?: number; flush?: boolean },
) => {
  point("writeFile");
  const bytes = Buffer.from(data);
  const half = bytes.byteLength >> 1;
  const opened = await fs.promises.open(path, "w", mode);
  unflushed.add(path);
  try {
    await writeFile.call(opened, bytes.subarray(0, half));
    point("writeFile");
    await writeFile.call(opened, bytes.subarray(half));
    if (flush === true) await opened.sync();
  } finally {
    await opened.close();
  }
}) as typeof fs.promises.writeFile;

wrap(fs.promises, "rename", ([from, to]) => {
  if (unflushed.delete(String(from))) unflushed.add(String(to));
});
for (const name of ["unlink", "rm"]) wrap(fs.promises, name, ([file]) => void unflushed.delete(String(file)));
for (const name of ["link", "mkdir"]) wrap(fs.promises, name);
wrap(handles, "writeFile", (_, self) => void unflushed.add(pathOf.get(self as object)!));
for (const name of ["sync", "datasync"])
  wrap(handles, name, (_, self) => void unflushed.delete(pathOf.get(self as object)!));
for (const name of ["_put", "_del", "_batch"])
  wrap(ClassicLevel.prototype, name, (args) => {
    const options = args.at(-1) as { sync?: boolean };
    if (fault === "record" && options.sync === true)
      fs.cpSync(join(DISK_FOLDER, "data"), durableDatabase, { recursive: true });
  });
syncBuiltinESMExports();

process.on("exit", () => {
  fs.writeSync(1, `points ${points}\n`);
});
