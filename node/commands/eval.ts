import type { CommandModule } from "yargs";
import { evaluateRun, perplexity } from "../../src/use/evaluate.ts";
import { observe, type ObserveCommandFlags } from "../observe.ts";
import { deviceOf, type EngineFlags, engineOptions, inviteArgument, observeOptions } from "../options.ts";
import { createProgress, formatBar, formatJson, formatTable } from "../output.ts";
import { COMMAND_STOPS, onInterrupt, untilInterrupted } from "../shutdown.ts";

type EvalFlags = ObserveCommandFlags & EngineFlags;

export const command: CommandModule<object, EvalFlags> = {
  describe: "Score a run's heads and its warm start on the held-out documents",
  builder: (yargs) =>
    yargs
      .positional("invite", inviteArgument)
      .options({ ...observeOptions, ...engineOptions })
      .example("$0 eval", "the heads of the run in .pathweave, fetched from its peers")
      .example("$0 eval pathweave1… --json", "any run, for programs"),
  async handler(flags) {
    const device = deviceOf(flags);
    const shutdown = onInterrupt(() => process.stderr.write(`${COMMAND_STOPS}\n`));
    const progress = createProgress(process.stderr);
    const { run, heads, evaluation } = await untilInterrupted(
      shutdown.signal,
      observe(
        flags,
        shutdown.signal,
        async (peer) => {
          progress.update("fetching the heads");
          const show = (done: number, total: number): void =>
            progress.update(`evaluating ${formatBar(done, total)}`);
          const scores = await evaluateRun(peer, device, {}, show, shutdown.signal);
          return { run: peer.run, heads: peer.swarm.heads(), evaluation: scores };
        },
        (doing) => progress.update(doing),
      ),
    );
    progress[Symbol.dispose]();
    const rows = [
      { name: "warm start", score: evaluation.seed },
      { name: "DiPaCo", score: evaluation.dipaco },
      ...evaluation.paths.map(({ dipaco }, path) => ({ name: `  path ${path}`, score: dipaco })),
    ];
    if (flags.json) {
      const scores = {
        seed: perplexity(evaluation.seed),
        dipaco: perplexity(evaluation.dipaco),
        paths: evaluation.paths.map(({ documents, seed, dipaco }) => ({
          documents,
          tokens: dipaco.tokens,
          ...(dipaco.tokens === 0 ? {} : { seed: perplexity(seed), dipaco: perplexity(dipaco) }),
        })),
      };
      process.stdout.write(`${formatJson({ run, perplexity: scores, heads })}\n`);
      return;
    }
    const table = formatTable(
      ["model", "tokens scored", "perplexity"],
      rows.map(({ name, score }) => [
        name,
        String(score.tokens),
        score.tokens === 0 ? "-" : perplexity(score).toFixed(2),
      ]),
    );
    for (const line of table) process.stdout.write(`${line}\n`);
  },
};
