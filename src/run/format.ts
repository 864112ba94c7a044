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

const SIZE_UNITS: Record<string, number> = {
  "": 1,
  ...Object.fromEntries(
    ["k", "m", "g", "t"].flatMap((letter, index) => [
      [letter, 1000 ** (index + 1)],
      [`${letter}i`, 1024 ** (index + 1)],
    ]),
  ),
};

/** Bytes of a size that people write: `20GB` and `500 MB` count in thousands, `20GiB` in 1024. Throws UsageError. */
export function parseBytes(text: string, flag: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([kmgt]i?|)b?$/i.exec(text.trim()) ?? [];
  const factor = SIZE_UNITS[unit?.toLowerCase() ?? "none"];
  const bytes = Math.floor(Number(number) * (factor ?? Number.NaN));
  if (!(bytes > 0))
    throw new UsageError(`--${flag} is "${text.slice(0, 20)}"; expected a size such as 20GB or 500MiB.`);
  return bytes;
}
