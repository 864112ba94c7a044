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
        describe: "The id with which status, eval and audit look at a run, beside the running peer",
      })
      .example("$0 id --data ./lab", "list it under admission.peers before pathweave create")
      .example("$0 id --data ./lab --observer", "list it, too, if status is to be asked from here"),
  async handler({ data, observer }) {
    const file = join(data, observer ? OBSERVER_FILE : IDENTITY_FILE);
    const key = await loadIdentity(file, createLogger("warn"));
    process.stdout.write(`${peerIdFromPrivateKey(key)}\n`);
  },
};
