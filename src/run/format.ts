/** Numbers for people: three significant digits and a unit. */
import { UsageError } from "../errors.ts";

function scaled(value: number, step: number, units: readonly string[], separator: string): string {
  let at = 0;
  let rest = value;
  // 999.5 would round to 1000 of the smaller unit.
  while (Math.abs(rest) >= (at === 0 ? step : step - 0.5) && at < units.length - 1) {
    rest /= step;
    at++;
  }
  const digits = at === 0 ? 0 : Math.abs(rest) < 9.995 ? 2 : Math.abs(rest) < 99.95 ? 1 : 0;
  return `${rest.toFixed(digits)}${separator}${units[at]}`.trim();
}

/** `512 B`, `1.50 KiB`, `23.4 MiB`. */
export function formatBytes(bytes: number): string {
  return scaled(bytes, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"], " ");
}

/** `987`, `1.23 k`, `5.80 M`. */
export function formatCount(count: number): string {
  return scaled(count, 1000, ["", "k", "M", "G", "T"], " ");
}

/** `1 document`, `2 documents`, `1.20 k documents`; `plural` where an s is not enough. */
export function counted(
  count: number,
  singular: string,
  format: (count: number) => string = String,
  plural = `${singular}s`,
): string {
  return `${format(count)} ${count === 1 ? singular : plural}`;
}

const SIZE_UNITS: Record<string, number> = {
  b: 1,
  ...Object.fromEntries(
    ["k", "m", "g", "t"].flatMap((letter, index) => [
      [letter, 1000 ** (index + 1)],
      [`${letter}i`, 1024 ** (index + 1)],
    ]),
  ),
};

/**
 * Bytes of a size that people write: `20GB` and `500 MB` count in thousands, `20GiB` in 1024, and `20G` is 20GB. A number
 * alone is refused, since nobody means 20 bytes by 20. Throws UsageError.
 */
export function parseBytes(text: string, flag: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*(b|[kmgt]i?b?|)$/i.exec(text.trim()) ?? [];
  if (unit === "" && Number(number) > 0)
    throw new UsageError(
      `--${flag} is "${text.slice(0, 20)}", which has no unit; expected a size such as 20GB or 500MiB.`,
    );
  const factor = SIZE_UNITS[unit?.toLowerCase().replace(/(?<=.)b$/, "") ?? "none"];
  const bytes = Math.floor(Number(number) * (factor ?? Number.NaN));
  if (!(bytes > 0))
    throw new UsageError(`--${flag} is "${text.slice(0, 20)}"; expected a size such as 20GB or 500MiB.`);
  return bytes;
}
