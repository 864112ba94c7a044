import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { UsageError } from "../../../src/errors.ts";
import { deviceOf } from "../../../node/options.ts";

const flags = { engine: "compiled", device: "cpu" } as const;

test("threads are counted in whole numbers", () => {
  assert.deepEqual(deviceOf({ ...flags, threads: undefined }), { kind: "compiled", device: "cpu" });
  assert.deepEqual(deviceOf({ ...flags, threads: 2 }), { kind: "compiled", device: "cpu", threads: 2 });
  for (const threads of [0, -1, 1.5, 1e9, Number.NaN])
    assert.throws(
      () => deviceOf({ ...flags, threads }),
      (error) =>
        error instanceof UsageError && error.message.startsWith("--threads takes a whole number from 1"),
    );
});

test("no command reads --threads past that check", () => {
  const project = new URL("../../../", import.meta.url);
  for (const file of globSync("node/**/*.ts", { cwd: project }))
    if (!file.endsWith("options.ts"))
      assert.doesNotMatch(readFileSync(new URL(file, project), "utf8"), /flags\.threads/, file);
});
