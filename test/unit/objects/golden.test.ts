/**
 * The bytes of every kind of object. They are part of the protocol: a change of any of them is a new format.
 * `UPDATE_GOLDEN=1 node --test test/unit/objects/golden.test.ts` writes them anew.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { CID } from "multiformats/cid";
import { Contribution } from "../../../src/objects/contribution.ts";
import { type Block, matches } from "../../../src/objects/object.ts";
import { contribution, key, samples } from "./samples.ts";

const folder = new URL("../../golden/objects/", import.meta.url);

/** Compares a block with its file, which holds its CID and its bytes in hex, 64 bytes a line. */
function checkGolden(name: string, block: Block): Uint8Array {
  const file = new URL(`${name}.txt`, folder);
  const hex = Buffer.from(block.bytes).toString("hex");
  const text = `${block.cid.toString()}\n${hex.match(/.{1,128}/g)!.join("\n")}\n`;
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, text);
  assert.equal(text, readFileSync(file, "utf8"), `the bytes of ${name} changed`);
  const [cid, ...lines] = readFileSync(file, "utf8").split("\n");
  const bytes = Uint8Array.from(Buffer.from(lines.join(""), "hex"));
  assert.equal(matches(CID.parse(cid!), bytes), true);
  return bytes;
}

describe("golden bytes", () => {
  for (const { name, kind, value } of samples)
    it(`${name} is written and read as ever`, () => {
      const block = kind.encode(value);
      assert.deepEqual(kind.decode(checkGolden(name, block)), value);
      assert.ok(kind.kind.startsWith("pathweave/"));
    });

  it("contribution is signed, written and read as ever", async () => {
    const bytes = checkGolden("contribution", await Contribution.seal(contribution, key));
    assert.deepEqual(await Contribution.open(bytes), {
      value: contribution,
      signer: key.publicKey.toString(),
    });
    assert.deepEqual(Contribution.peek(bytes), contribution);
  });
});
