import type { CommandModule } from "yargs";
import { givenInvite, type InviteFlags } from "../invite.ts";
import {
  dataOptions,
  engineOptions,
  inviteFileOption,
  networkOptions,
  outputOptions,
  workOptions,
} from "../options.ts";
import type { PeerFlags } from "../peer-session.ts";
import { onInterrupt, PEER_STOPS } from "../shutdown.ts";

type JoinFlags = PeerFlags & InviteFlags;

export const command: CommandModule<object, JoinFlags> = {
  describe: "Join a run and train",
  builder: (yargs) =>
    yargs
      .positional("invite", {
        type: "string",
        describe: "The invite; without one, go on with the run in --data",
      })
      .options({
        ...dataOptions,
        ...networkOptions,
        ...engineOptions,
        ...workOptions,
        ...inviteFileOption,
        ...outputOptions,
      })
      .example("$0 join pathweave1…", "join with nothing but an invite")
      .example("$0 join --data ./lab", "go on with a run after a restart")
      .example("$0 join pathweave1… --device webgpu", "train on any vendor's GPU")
      .example("$0 join --invite-file lab.invite", "a private swarm, whose invite holds a key")
      .example("$0 join pathweave1… --max-disk 20GB --max-mbps 50", "be a guest on this machine")
      .example("$0 join pathweave1… --json", "print events as NDJSON for programs"),
  async handler(flags) {
    const shutdown = onInterrupt(() => flags.json || process.stderr.write(`${PEER_STOPS}\n`));
    const invite = await givenInvite(flags);
    // What is wrong with an invite is said before the network and the engine are loaded, which is slow.
    const { runPeer } = await import("../peer-session.ts");
    await runPeer(flags, invite, shutdown);
  },
};
