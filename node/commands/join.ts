import type { CommandModule } from "yargs";
import { decodeInvite } from "../../src/run/invite.ts";
import { dataOptions, engineOptions, networkOptions, outputOptions, workOptions } from "../options.ts";
import { type PeerFlags, runPeer } from "../peer-session.ts";
import { onInterrupt } from "../shutdown.ts";

interface JoinFlags extends PeerFlags {
  invite: string | undefined;
}

export const command: CommandModule<object, JoinFlags> = {
  describe: "Join a run and train",
  builder: (yargs) =>
    yargs
      .positional("invite", {
        type: "string",
        describe: "The invite; without one, go on with the run in --data",
      })
      .options({ ...dataOptions, ...networkOptions, ...engineOptions, ...workOptions, ...outputOptions })
      .example("$0 join pathweave1…", "join with nothing but an invite")
      .example("$0 join --data ./lab", "go on with a run after a restart")
      .example("$0 join pathweave1… --device webgpu", "train on any vendor's GPU")
      .example("$0 join pathweave1… --json", "print events as NDJSON for programs"),
  async handler(flags) {
    const shutdown = onInterrupt((line) => flags.json || process.stderr.write(`${line}\n`));
    await runPeer(flags, flags.invite === undefined ? undefined : decodeInvite(flags.invite), shutdown);
  },
};
