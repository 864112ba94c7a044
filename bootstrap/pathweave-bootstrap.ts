#!/usr/bin/env node
/**
 * The program `pathweave-bootstrap`. Standard output carries the addresses, one a line, or with `--json`
 * one event a line: `listening` with `addresses`, then `connected` and `disconnected` with `peer` and `peers`
 * (how many are connected), then `stopped`. Everything else goes to standard error.
 */
import { PathweaveError } from "../src/errors.ts";
import { createLogger } from "../src/log.ts";
import { loadIdentity } from "../src/net/identity.ts";
import { readSwarmKey } from "../src/net/swarm-key.ts";
import { HEAD_NAMESPACE, headRecords } from "../src/swarm/sync/head-record.ts";
import { hearClosedPipes, onInterrupt } from "../node/shutdown.ts";
import { startBootstrapNode } from "./bootstrap-node.ts";
import { parseFlags } from "./options.ts";

async function main(): Promise<void> {
  const flags = await parseFlags(process.argv.slice(2), process.env);
  const log = createLogger("info").component("bootstrap");
  const say = (event: string, facts: object, text: string): void => {
    if (flags.json) process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
    else log.info(text);
  };

  const swarmKey = flags.swarmKeyFile === undefined ? undefined : await readSwarmKey(flags.swarmKeyFile);
  const privateKey = await loadIdentity(flags.identity, log);
  const node = await startBootstrapNode({
    privateKey,
    listen: flags.listen,
    announce: flags.announce,
    records: { [HEAD_NAMESPACE]: headRecords() },
    ...(swarmKey === undefined ? {} : { swarmKey }),
  });
  const shutdown = onInterrupt(() => log.info("stopping; Ctrl-C again to force"));
  shutdown.signal.addEventListener("abort", () => {
    node.stop().then(() => {
      say("stopped", {}, "stopped");
      process.exit(0);
    }, fail);
  });

  const { libp2p } = node;
  const addresses = node.addresses();
  if (!flags.json) process.stdout.write(`${addresses.join("\n")}\n`);
  say("listening", { addresses }, "peers join through any of the addresses above; Ctrl-C stops");

  for (const change of ["connect", "disconnect"] as const)
    libp2p.addEventListener(`peer:${change}`, ({ detail }) => {
      const [peer, peers] = [detail.toString(), libp2p.getPeers().length];
      say(`${change}ed`, { peer, peers }, `${peer} ${change}ed; ${peers} connected`);
    });
}

/** Expected failures are one line; anything else is a bug and shows its stack. */
function fail(error: unknown): void {
  process.stderr.write(
    error instanceof PathweaveError
      ? `pathweave-bootstrap: ${error.message}\n`
      : `${error instanceof Error ? error.stack : String(error)}\n`,
  );
  process.exit(1);
}

hearClosedPipes();
main().catch(fail);
