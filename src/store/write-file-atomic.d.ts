declare module "write-file-atomic" {
  /** Writes to a temporary file, syncs it to disk and renames it over `path`. */
  export default function writeFileAtomic(
    path: string,
    data: Uint8Array | string,
    options: { mode: number },
  ): Promise<void>;
}
