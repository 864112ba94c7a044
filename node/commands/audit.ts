import type { CommandModule } from "yargs";
import { InvalidObjectError } from "../../src/errors.ts";
import { observe, type ObserveCommandFlags } from "../observe.ts";
import { inviteArgument, observeOptions } from "../options.ts";
import { createProgress, formatJson } from "../output.ts";
import { onInterrupt } from "../shutdown.ts";

export const command: CommandModule<object, ObserveCommandFlags> = {
  describe: "Fold every generation of every module again and compare CIDs",
  builder: (yargs) =>
    yargs
      .positional("invite", inviteArgument)
      .options(observeOptions)
      .example("$0 audit", "needs a peer that keeps all tensors: join --archive"),
  async handler(flags) {
    const shutdown = onInterrupt((line) => process.stderr.write(`${line}\n`));
    const progress = createProgress(process.stderr);
    progress.update("fetching the lineage");
    const result = await observe(flags, shutdown.signal, async ({ swarm, topology, run }) => {
      let versions = 0;
      for (const { name } of topology.modules) {
        const wrong = await swarm.audit(name, ({ generation }) => {
          versions++;
          progress.update(`${name} generation ${generation} follows`);
        });
        if (wrong !== undefined)
          throw new InvalidObjectError(
            `${name} generation ${wrong.generation} (${wrong.cid}) does not follow from its contributions.`,
          );
      }
      const heads = Object.fromEntries(swarm.heads().map(({ module, cid }) => [module, cid]));
      return { run, versions, verified: true, heads };
    });
    progress[Symbol.dispose]();
    if (flags.json) process.stdout.write(`${formatJson(result)}\n`);
    else process.stdout.write(`All ${result.versions} versions follow from their contributions.\n`);
  },
};
