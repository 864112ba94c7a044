/** Numbers for people: three significant digits and a unit. */

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
