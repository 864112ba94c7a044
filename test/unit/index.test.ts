import assert from "node:assert/strict";
import { test } from "node:test";
import * as pathweave from "../../src/index.ts";

test("the library exports what it promises, and nothing else", () => {
  assert.deepEqual(Object.keys(pathweave).toSorted(), [
    "CapacityError",
    "CorpusError",
    "InvalidObjectError",
    "InviteError",
    "ManifestError",
    "NetworkError",
    "PathweaveError",
    "StorageError",
    "UnavailableError",
    "UsageError",
    "createEngine",
    "createLogger",
    "createRun",
    "decodeInvite",
    "encodeInvite",
    "evaluateRun",
    "exportPaths",
    "generate",
    "modelOfPeer",
    "openDirectory",
    "openPeer",
    "pathParameters",
    "perplexity",
    "readRunFile",
    "silentLogger",
    "version",
  ]);
});
