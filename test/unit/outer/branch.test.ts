import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Branch, ancestorAt, descends, grow } from "../../../src/outer/branch.ts";
import { GENESIS } from "./history.ts";

const child = (parent: Branch): Branch =>
  grow({ ...GENESIS, generation: parent.version.generation + 1 }, parent);

describe("branches", () => {
  it("find the same ancestors as a walk over parents", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 120 }), (parents) => {
        const branches = [grow(GENESIS)];
        for (const parent of parents) branches.push(child(branches[parent % branches.length]!));
        for (const branch of branches.slice(-20)) {
          for (let at: Branch | undefined = branch; at !== undefined; at = at.parent)
            assert.equal(ancestorAt(branch, at.version.generation), at);
          assert.equal(ancestorAt(branch, branch.version.generation + 1), undefined);
          const line = new Set<Branch>();
          for (let at: Branch | undefined = branch; at !== undefined; at = at.parent) line.add(at);
          for (const other of branches) assert.equal(descends(branch, other), line.has(other));
        }
      }),
    );
  });

  it("find an ancestor in logarithmically many steps", () => {
    let steps = 0;
    const counted = (branch: Branch): Branch => {
      Object.defineProperty(branch, "version", {
        get: () => {
          steps += 1;
          return { generation: depth.get(branch) };
        },
      });
      return branch;
    };
    const depth = new Map<Branch, number>();
    let tip = grow(GENESIS);
    depth.set(tip, 0);
    const line = [tip];
    for (let generation = 1; generation <= 10_000; generation++) {
      tip = child(tip);
      depth.set(tip, generation);
      line.push(tip);
    }
    for (const branch of line) counted(branch);
    for (const generation of [0, 1, 4095, 4096, 5000, 9998]) {
      steps = 0;
      assert.equal(ancestorAt(tip, generation), line[generation]);
      assert.ok(steps < 150, `${steps} looks at generations`);
    }
  });
});
