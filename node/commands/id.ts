import { join } from "node:path";
import { peerIdFromPrivateKey } from "@libp2p/peer-id";
import type { CommandModule } from "yargs";
import { createLogger } from "../../src/log.ts";
import { IDENTITY_FILE, loadIdentity, OBSERVER_FILE } from "../../src/net/identity.ts";
import { dataOptions } from "../options.ts";

interface IdFlags {
  data: string;
  observer: boolean;
}

export const command: CommandModule<object, IdFlags> = {
  describe:
    "Print the peer id of --data, which a run's admission.peers may list; make its key if there is none",
  builder: (yargs) =>
    yargs
      .options(dataOptions)
      .option("observer", {
        type: "boolean",
        default: false,
        describe: "Print the id that status, eval and audit use beside the running peer",
      })
      .example("$0 id --data ./lab", "list it under admission.peers before pathweave create")
      .example("$0 id --data ./lab --observer", "list it, too, to ask for status from here"),
  async handler({ data, observer }) {
    const file = join(data, observer ? OBSERVER_FILE : IDENTITY_FILE);
    const key = await loadIdentity(file, createLogger("warn"));
    process.stdout.write(`${peerIdFromPrivateKey(key)}\n`);
  },
};
