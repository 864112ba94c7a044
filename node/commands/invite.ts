import type { CommandModule } from "yargs";
import { encodeInvite } from "../../src/run/invite.ts";
import { inviteOf } from "../invite.ts";
import { dataOptions } from "../options.ts";

interface InviteCommandFlags {
  data: string;
}

export const command: CommandModule<object, InviteCommandFlags> = {
  describe: "Print the invite of the run in --data; in a private swarm it holds the key",
  builder: (yargs) =>
    yargs
      .options(dataOptions)
      .example("$0 invite", "the invite of the run in .pathweave, with the addresses of its peer")
      .example(
        "$0 invite --data ./lab > lab.invite",
        "then elsewhere: pathweave join --invite-file lab.invite",
      ),
  async handler({ data }) {
    process.stdout.write(`${encodeInvite(await inviteOf({ data }))}\n`);
  },
};
