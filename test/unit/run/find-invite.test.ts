import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { rawBlock } from "../../../src/objects/object.ts";
import { dagCborCid } from "../../../src/objects/object.ts";
import { findInvite, gatherInvite, holdsInvite } from "../../../src/run/find-invite.ts";
import { encodeInvite } from "../../../src/run/invite.ts";

const inviteTo = (run: number, bootstrap: string[] = ["/ip4/192.0.2.7/tcp/4001"]): string =>
  encodeInvite({ run: dagCborCid(Uint8Array.of(0x18, run)), bootstrap });
const INVITE = inviteTo(100);

const invites = fc
  .tuple(fc.integer({ min: 24, max: 255 }), fc.array(fc.integer({ min: 1, max: 65_535 }), { maxLength: 8 }))
  .map(([run, ports]) =>
    inviteTo(
      run,
      ports.map((port) => `/ip4/198.51.100.1/tcp/${port}`),
    ),
  );

const pasted: [string, string][] = [
  ["as it is", INVITE],
  ["in quotes", `"${INVITE}"`],
  ["in typographic quotes", `“${INVITE}”`],
  ["in backticks", `\`${INVITE}\``],
  ["in upper case", INVITE.toUpperCase()],
  ["with the command before it", `pathweave join ${INVITE}`],
  ["with npm's command before it", `npm run pathweave -- join ${INVITE} --data ./lab`],
  ["at the end of a sentence", `The invite is ${INVITE}.`],
  ["before more words", `${INVITE} and then see pathweave status`],
  ["in Markdown", `[join](${INVITE})`],
  ["as JSON", JSON.stringify({ type: "started", invite: INVITE })],
  ["with a byte order mark", `\uFEFF${INVITE}\r\n`],
  [
    "in a quoted mail",
    `> ${INVITE.slice(0, 40)}\n> ${INVITE.slice(40, 80)}\n> ${INVITE.slice(80)}\n> See you`,
  ],
  ["broken in its first word", `${INVITE.slice(0, 5)}\n${INVITE.slice(5)}`],
  ["after a shell's backslash", `${INVITE.slice(0, 30)}\\\n  ${INVITE.slice(30)}`],
  ["twice", `${INVITE}\n${INVITE.toUpperCase()}`],
  ["beside a mistyped one", `${INVITE.slice(0, -4)}\n\nsorry: ${INVITE}`],
];
for (const [how, text] of pasted)
  test(`an invite is found ${how}`, () => {
    assert.equal(findInvite(text), INVITE);
    assert.ok(holdsInvite(text));
  });

test("an invite is found wherever it is broken, in either case, in any text that holds no other", () => {
  const noise = fc.stringMatching(/^[ -~\n]{0,60}$/).filter((text) => !/w\W*e\W*a\W*v\W*e/i.test(text));
  const breaks = fc.array(fc.tuple(fc.nat(), fc.constantFrom("\n", "\r\n", " ", "\n> ", "\t")), {
    maxLength: 6,
  });
  fc.assert(
    fc.property(invites, noise, noise, breaks, fc.boolean(), (invite, before, after, cuts, upper) => {
      let broken = upper ? invite.toUpperCase() : invite;
      for (const [at, text] of cuts) {
        const place = 1 + (at % (invite.length - 1));
        // Not inside of a break.
        if (/^[a-z0-9]{2}/i.test(broken.slice(place - 1)))
          broken = broken.slice(0, place) + text + broken.slice(place);
      }
      assert.equal(findInvite(`${before} ${broken} ${after}`), invite);
    }),
  );
});

test("several different invites are refused, with how many there are", () => {
  assert.throws(() => findInvite(`${INVITE} ${inviteTo(101)}`), {
    name: "InviteError",
    message: /^There are 2 different invites/,
  });
});

test("what holds none is left to the decoder, and never throws anything but an InviteError", () => {
  assert.equal(findInvite("hello"), "hello");
  assert.equal(findInvite(INVITE.slice(0, -7)), INVITE.slice(0, -7));
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
      assert.equal(findInvite(text), text);
    }),
  );
  assert.throws(() => findInvite("a".repeat(2 << 20)), { name: "InviteError", message: /too long/ });
  assert.ok(!holdsInvite("./pathweave1"));
  assert.ok(!holdsInvite(rawBlock(Uint8Array.of(1)).cid.toString()));
});

test("the words of a copied command are no arguments, the values of flags are", () => {
  const cases: [string[], string[]][] = [
    [
      ["join", "pathweave", "join", INVITE],
      ["join", INVITE],
    ],
    [
      ["join", "--data", "lab", "npm", "run", "pathweave", "--", "join", INVITE, "--no-mdns"],
      ["join", "--data", "lab", INVITE, "--no-mdns"],
    ],
    [
      ["join", "$", "node", "/home/me/pathweave/node/launch.js", "join", INVITE],
      ["join", INVITE],
    ],
    [
      ["status", "$", "npx", "pathweave", "generate", INVITE],
      ["status", INVITE],
    ],
    [
      ["generate", "It was", "--invite", INVITE],
      ["generate", "It was", "--invite", INVITE],
    ],
    [
      ["join", "--data", "join", INVITE],
      ["join", "--data", "join", INVITE],
    ],
    [
      ["join", INVITE.slice(0, 60), INVITE.slice(60), "--json"],
      ["join", INVITE, "--json"],
    ],
    [
      ["create", "run.yaml"],
      ["create", "run.yaml"],
    ],
    [
      ["join", INVITE.slice(0, 60), "hello"],
      ["join", INVITE.slice(0, 60), "hello"],
    ],
    [
      ["join", `--invite-file=${INVITE}`],
      ["join", `--invite-file=${INVITE}`],
    ],
  ];
  for (const [args, expected] of cases) assert.deepEqual(gatherInvite(args), expected);
});
