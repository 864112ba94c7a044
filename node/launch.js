#!/usr/bin/env node
// Plain JavaScript, since a Node.js that is too old for Pathweave cannot even read its TypeScript.
import { readFileSync } from "node:fs";

const { engines } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const needed = engines.node.replace(/[^0-9.]/g, "");
const [major, minor] = process.versions.node.split(".").map(Number);
const [neededMajor, neededMinor] = needed.split(".").map(Number);

if (major > neededMajor || (major === neededMajor && minor >= neededMinor)) {
  await import("./pathweave.ts");
} else {
  console.error(
    `pathweave: Node.js ${process.versions.node} is too old; run it with "npm start" or "npm run pathweave --", ` +
      `which bring their own Node.js, or install Node.js ${needed} or later.`,
  );
  process.exitCode = 1;
}
