/** What a round leaves on a real disk, without network. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { generateKeyPairFromSeed } from "@libp2p/crypto/keys";
import { createLogger } from "../../../../src/log.ts";
import { Contribution } from "../../../../src/objects/contribution.ts";
import { ROUTER } from "../../../../src/objects/manifest.ts";
import { decodeTensors } from "../../../../src/outer/codec.ts";
import { createPathStates, type PathState } from "../../../../src/swarm/rounds/path-states.ts";
import { type RoundInit, writeRound } from "../../../../src/swarm/rounds/round.ts";
import { createInit, GENESIS, genesisOf, RUN_ID } from "../../outer/history.ts";
import { flipBit, openStore, type OpenStore } from "../../store/disk.ts";

const ELEMENTS = 1000;
const SLOT = { work: "train" as const, round: 3, path: 1, replica: 0 };

async function open(t: TestContext, lines: string[] = []): Promise<OpenStore & RoundInit> {
  const dir = await mkdtemp(join(tmpdir(), "pathweave-path-state-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const opened = await openStore(dir);
  t.after(() => opened.close());
  const logger = createLogger("warn", (line) => lines.push(line));
  return {
    ...opened,
    run: RUN_ID,
    privateKey: await generateKeyPairFromSeed("Ed25519", new Uint8Array(32)),
    codec: "int8",
    states: createPathStates({ ...opened, plan: createInit().plan, logger }),
    tensors: () => [{ name: "w", shape: [ELEMENTS] }],
  };
}

function state(seed: number, residual = true): PathState {
  const values = (offset: number): Float32Array =>
    Float32Array.from({ length: ELEMENTS }, (_, i) => Math.sin(seed + offset + i));
  return {
    moments: { step: seed, firstMoment: values(0.1), secondMoment: values(0.2) },
    ...(residual ? { residual: values(0.3) } : {}),
  };
}

for (const residual of [true, false])
  test(`a path's state comes back for the next round only, ${residual ? "with" : "without"} residual`, async (t) => {
    const { store, states } = await open(t);
    const written = state(7, residual);
    await store.retainTogether(await states.write(SLOT, written));
    assert.deepEqual(await states.load({ ...SLOT, round: 4 }, ELEMENTS), written);
    for (const other of [SLOT, { ...SLOT, round: 5 }, { ...SLOT, round: 4, path: 2 }])
      assert.equal(await states.load(other, ELEMENTS), undefined);
    assert.equal(await states.load({ ...SLOT, round: 4 }, ELEMENTS + 1), undefined, "another network");
  });

test("a state that was not retained with its contributions does not count, and the one before it does", async (t) => {
  const { store, states } = await open(t);
  await store.retainTogether(await states.write(SLOT, state(1)));
  await states.write({ ...SLOT, round: 4 }, state(2));
  assert.deepEqual(await states.load({ ...SLOT, round: 4 }, ELEMENTS), state(1));
  assert.equal(await states.load({ ...SLOT, round: 5 }, ELEMENTS), undefined);
});

test("older states of the path and those that all paths are past are let go of, others are kept", async (t) => {
  const { store, states } = await open(t);
  for (const [path, round] of [
    [0, 1],
    [1, 2],
    [2, 3],
    [1, 3],
  ] as const)
    await store.retainTogether(await states.write({ work: "train", path, round, replica: 0 }, state(round)));
  await store.retain("lineage:lower/1", [RUN_ID]);
  assert.deepEqual((await store.pins()).toSorted(), [
    "lineage:lower/1",
    "path-state:1:0:3",
    "path-state:2:0:3",
  ]);
});

test("a flipped bit anywhere in a state is noticed and said, and the path starts without it", async (t) => {
  const lines: string[] = [];
  const { dir, store, states } = await open(t, lines);
  const next = { ...SLOT, round: 4 };
  for (const index of [0, 1, 2]) {
    await store.retainTogether(await states.write(SLOT, state(1)));
    const blocks = await store.retained("path-state:1:0:3");
    assert.equal(blocks.length, 3, "the record, the pack and its chunk");
    await flipBit(dir, blocks[index]!);
    lines.length = 0;
    assert.equal(await states.load(next, ELEMENTS), undefined);
    assert.match(lines.join("\n"), /optimizer state of path 1 on this disk is damaged; its learning rate/);
  }
});

for (const codec of ["bf16", "int8"])
  test(`what ${codec} drops of an outer gradient is sent with later ones`, async (t) => {
    const init = { ...(await open(t)), codec };
    // Large elements make the steps of the code so coarse that the small ones would never be sent.
    const change = Float32Array.from({ length: ELEMENTS }, (_, i) => (i % 256 === 0 ? 1 : 1e-3 + i * 1e-7));
    const sent = new Float64Array(ELEMENTS);
    const rounds = 40;
    let previous: PathState | undefined;
    for (let round = 0; round < rounds; round++) {
      const slot = { work: "train" as const, round, path: 0, replica: 0 };
      const { contributions, retain } = await writeRound(init, {
        slot,
        bases: [GENESIS],
        router: genesisOf(ROUTER),
        start: change,
        end: new Float32Array(ELEMENTS),
        tokens: 8,
        previous,
        steps: 1,
        loss: 1,
        tokensPerSecond: 1,
        moments: state(round).moments,
      });
      await init.store.retainTogether(retain);
      const { value } = await Contribution.open(contributions[0]!.bytes);
      const { bytes } = await init.packs.read(value.delta, { maxBytes: 4 * ELEMENTS });
      for (const [i, x] of decodeTensors(bytes, codec, ELEMENTS).entries()) sent[i]! += x;
      previous = await init.states.load({ ...slot, round: round + 1 }, ELEMENTS);
      assert.ok(previous !== undefined);
    }
    for (const [i, x] of change.entries()) {
      const error = Math.abs(sent[i]! - rounds * x);
      // At most one step of the code is owed, however many rounds there were.
      const step = codec === "int8" ? 1 / 127 : x / 256;
      assert.ok(error <= 1.1 * step, `element ${i}: ${sent[i]! / rounds} instead of ${x}`);
    }
  });

test("an exact codec owes nothing and keeps no residual", async (t) => {
  const init = { ...(await open(t)), codec: "f32" as const };
  const zero = new Float32Array(ELEMENTS);
  const { moments } = state(1);
  const finished = {
    slot: SLOT,
    bases: [GENESIS],
    router: genesisOf(ROUTER),
    start: zero,
    end: zero,
    tokens: 8,
    previous: undefined,
  };
  const { retain } = await writeRound(init, { ...finished, steps: 1, loss: 1, tokensPerSecond: 1, moments });
  await init.store.retainTogether(retain);
  assert.deepEqual(await init.states.load({ ...SLOT, round: 4 }, ELEMENTS), { moments });
});
