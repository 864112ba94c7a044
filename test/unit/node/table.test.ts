import assert from "node:assert/strict";
import { test } from "node:test";
import { multiaddr } from "@multiformats/multiaddr";
import fc from "fast-check";
import { formatTable, shortenIds, wrap, wrapRows } from "../../../node/table.ts";
import { relaysIn } from "../../../src/net/scope.ts";

const PEER = "12D3KooWRY9gvrocEFmUhYi2noiy5qqy8duvxgwqXYXHbdUb5oMD";
const CID = "bafyreidu2fbk65pwkmo7b4hk64cw5trs52446xtelgebiljyzj5nlu5dlu";

test("status fits 80 columns with full ids, long leases and many owners", () => {
  const peers = Array.from({ length: 5 }, (_, index) => PEER.slice(0, -1) + String.fromCharCode(65 + index));
  const tables = [
    formatTable(
      ["peer", "role", "device", "tokens/s", "lease", "sent", "received"],
      peers.map((peer) => [
        peer,
        "observer",
        "compiled-webgpu",
        "1234567",
        "round 1234 path 1023 (100 %), round 1235 path 7 (3 %)",
        "1023 MiB",
        "99.9 MiB",
      ]),
      80,
    ),
    formatTable(
      ["module", "generation", "tokens", "owners", "head"],
      [["embedding/1023", "1234", "123456789012", peers.join(" "), CID]],
      80,
    ),
    formatTable(
      ["path", "rounds done", "of", "last loss", "by"],
      [["1023", "1234", "1234", "3.123", PEER]],
      80,
    ),
    formatTable(
      ["model", "steps per path", "tokens trained", "held-out perplexity"],
      [["dense, equal tokens", "320000", "1234.56 M", "12345.67"]],
      80,
    ),
  ];
  for (const line of tables.flat()) assert.ok(line.length <= 80, `${line.length}: ${line}`);
  // What tells peers apart is left, and no word of a language is broken.
  for (const peer of peers) assert.ok(tables[0]!.some((line) => line.includes(`…${peer.slice(-6)}`)));
  for (const word of ["observer", "compiled-webgpu", "1234567"])
    assert.ok(tables[0]!.join("\n").includes(word));
});

test("what peers say of themselves does not steer the terminal", () => {
  const evil = Buffer.from("a\u001B[2J\u001B[1;1HEVIL");
  // A name in an address may hold any bytes.
  const bytes = Buffer.from(
    multiaddr(`/dns4/${"x".repeat(evil.length)}/tcp/1/p2p/${PEER}/p2p-circuit`).bytes,
  );
  evil.copy(bytes, 2);
  const [relay] = relaysIn([multiaddr(new Uint8Array(bytes)).toString()]);
  assert.ok(relay!.includes("\u001B"));
  const line = `…abcdef is reached through a relay at ${relay}`;
  for (const text of [...wrapRows([line]), ...formatTable(["relay"], [[relay!]], 80)])
    assert.doesNotMatch(text, /\p{Cc}/u);
  assert.ok(wrapRows([line], 200)[0]!.includes("/dns4/aEVIL"));
});

test("what fits is left alone", () => {
  assert.deepEqual(formatTable(["id"], [[CID]], 80), ["id", CID]);
  assert.deepEqual(wrapRows(["run  short"], 80), ["run  short"]);
});

test("ends of ids are as long as it takes to tell them apart", () => {
  const other = `${CID.slice(0, 20)}x${CID.slice(21)}`;
  const [a, b] = shortenIds([CID, `head ${other}`]);
  assert.notEqual(a, b!.slice(5));
  assert.ok(b!.startsWith("head …"));
});

test("no line is longer than the width, whatever the cells", () => {
  const cell = fc.oneof(
    fc.string({ maxLength: 60 }),
    fc.constantFrom(PEER, CID, `${PEER} ${CID}`, "-", "12.5 MiB", "a few words that are all short"),
  );
  fc.assert(
    fc.property(
      fc
        .integer({ min: 1, max: 6 })
        .chain((columns) =>
          fc.tuple(
            fc.array(fc.stringMatching(/^[a-z]{1,10}$/), { minLength: columns, maxLength: columns }),
            fc.array(fc.array(cell, { minLength: columns, maxLength: columns }), { maxLength: 5 }),
          ),
        ),
      fc.integer({ min: 40, max: 120 }),
      ([header, rows], width) => {
        for (const line of formatTable(header, rows, width)) assert.ok(line.length <= width, line);
      },
    ),
  );
});

test("wrapped text keeps its words, in their order", () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1 }), (words) => {
      const lines = wrap(words.join(" "), 20);
      assert.equal(lines.join(" "), words.join(" "));
      for (const line of lines) assert.ok(line.length <= 20);
    }),
  );
  assert.deepEqual(wrapRows([`run   ${"word ".repeat(6)}end`], 30), [
    "run   word word word word word",
    "      word end",
  ]);
});
