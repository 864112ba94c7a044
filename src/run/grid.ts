/** Paths of a grid: P = ∏K. */
export function countPaths(grid: readonly number[]): number {
  return grid.reduce((product, size) => product * size, 1);
}

/** Grid coordinates of a path; the first axis is slowest, as in row-major order. */
export function gridCoordinates(grid: readonly number[], path: number): number[] {
  const coordinates: number[] = [];
  let rest = path;
  for (const size of grid.toReversed()) {
    coordinates.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return coordinates;
}
