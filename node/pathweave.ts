#!/usr/bin/env node
/** The `pathweave` command. */
import { type LazyCommand, runCommandLine } from "./command-line.ts";
import { version } from "../src/installation.ts";
import { leave } from "./leave.ts";
import { hearClosedPipes } from "./shutdown.ts";

hearClosedPipes();

const commands: LazyCommand[] = [
  {
    usage: "demo",
    describe: "Train a small model with a whole swarm on this machine",
    load: () => import("./commands/demo.ts"),
  },
  {
    usage: "corpus <files..>",
    describe: "Show what create would read of a corpus",
    load: () => import("./commands/corpus.ts"),
  },
  {
    usage: "create <file>",
    describe: "Create a run from a YAML file and a corpus, and start its first peer",
    load: () => import("./commands/create.ts"),
  },
  {
    usage: "tune <file>",
    describe: "Find a learning rate for a run by short dense runs on its text",
    load: () => import("./commands/tune.ts"),
  },
  {
    usage: "join [invite]",
    describe: "Join a run and train",
    load: () => import("./commands/join.ts"),
  },
  {
    usage: "invite",
    describe: "Print the invite to the run of this machine",
    load: () => import("./commands/invite.ts"),
  },
  {
    usage: "id",
    describe: "Print the peer id of this machine",
    load: () => import("./commands/id.ts"),
  },
  {
    usage: "status [invite]",
    describe: "Show the run that this machine is part of",
    load: () => import("./commands/status.ts"),
  },
  {
    usage: "eval [invite]",
    describe: "Score the model on held-out documents",
    load: () => import("./commands/eval.ts"),
  },
  {
    usage: "generate <prompt>",
    describe: "Continue a text with the trained model",
    load: () => import("./commands/generate.ts"),
  },
  {
    usage: "export",
    describe: "Write a trained path as a Hugging Face checkpoint",
    load: () => import("./commands/export.ts"),
  },
  {
    usage: "audit [where..]",
    describe: "Fold the lineage again and compare every version",
    load: () => import("./commands/audit.ts"),
  },
  {
    usage: "sim",
    describe: "Simulate a swarm of any size under a virtual clock",
    load: () => import("./commands/sim.ts"),
  },
];

const code = await runCommandLine({
  name: "pathweave",
  version,
  commands,
  examples: [
    ["pathweave demo", "a swarm of four peers on this machine"],
    ["pathweave create run.yaml", "start a run and print its invite"],
    ["pathweave join pathweave1…", "take part in it from another machine"],
    ['pathweave generate "It was"', "continue a text with what the run has learned"],
  ],
  args: process.argv.slice(2),
  environment: process.env,
  writeError: (line) => process.stderr.write(`${line}\n`),
});

process.exitCode = code;
// Things that a failed stop leaves open must not keep the process; a command that stops well has ended by then. An
// interrupted command has had its time.
setTimeout(() => leave(code), code > 128 ? 0 : 3000).unref();
