import type { CommandModule } from "yargs";
import { PROTOCOL } from "../../src/objects/protocol.ts";
import { relaysIn } from "../../src/net/scope.ts";
import type { Peer } from "../../src/peer/types.ts";
import type { Plan } from "../../src/plan/types.ts";
import { knownLeases } from "../../src/swarm/messages.ts";
import { observe, type ObserveCommandFlags } from "../observe.ts";
import { inviteArgument, observeOptions } from "../options.ts";
import { nextSteps } from "../next-steps.ts";
import {
  createProgress,
  formatBytes,
  formatJson,
  formatNumber,
  formatTable,
  plain,
  wrapRows,
} from "../output.ts";
import { describeProgress, runProgressOf, secondsLeft } from "../run-progress.ts";
import { COMMAND_STOPS, onInterrupt, untilInterrupted } from "../shutdown.ts";

export const command: CommandModule<object, ObserveCommandFlags> = {
  describe: "Show a run's peers, leases, heads, losses and bytes",
  builder: (yargs) =>
    yargs
      .positional("invite", inviteArgument)
      .options(observeOptions)
      .example("$0 status", "the run in .pathweave, seen from outside")
      .example("$0 status pathweave1… --json", "any run, for programs"),
  async handler(flags) {
    const shutdown = onInterrupt(() => process.stderr.write(`${COMMAND_STOPS}\n`));
    const progress = createProgress(process.stderr);
    const show = (doing: string): void => progress.update(doing);
    const status = await untilInterrupted(
      shutdown.signal,
      observe(
        flags,
        shutdown.signal,
        async (peer) => {
          show("listening to the peers of the run");
          // Every live peer is heard within two of its heartbeats.
          await peer.swarm.observed(2000 * peer.manifest.config.swarm.heartbeatSeconds, shutdown.signal);
          return statusOf(peer);
        },
        show,
      ),
    );
    progress.update(undefined);
    progress[Symbol.dispose]();
    if (flags.json) {
      const { left: _, ...facts } = status;
      process.stdout.write(`${formatJson(facts)}\n`);
    } else for (const line of describe(status, flags.data)) process.stdout.write(`${line}\n`);
  },
};

type Status = Awaited<ReturnType<typeof statusOf>>;

async function statusOf(peer: Peer) {
  const relays = await relaysOfMembers(peer);
  const now = performance.now();
  const { coordinator } = peer.swarm;
  const { plan } = peer.swarm;
  const progress = runProgressOf(peer, now);
  return {
    run: peer.run.toString(),
    name: peer.manifest.config.name,
    roundsDone: progress.rounds.done,
    rounds: progress.rounds.total,
    /** An estimate for the whole run: 0 when it is done, null when it cannot be told. */
    secondsLeft: secondsLeft(progress.left),
    left: progress.left,
    peers: coordinator.membership.live(now).map(({ peer: id, heartbeat, lastSeen }) => ({
      peer: id,
      role: heartbeat.role,
      device: heartbeat.device,
      tokensPerSecond: heartbeat.tokensPerSecond,
      leases: knownLeases(heartbeat),
      bytesUp: heartbeat.bytesOut,
      bytesDown: heartbeat.bytesIn,
      secondsSinceSeen: (now - lastSeen) / 1000,
      relays: relays.get(id) ?? [],
    })),
    heads: peer.swarm.heads(),
    unknownFormats: peer.swarm.unknownFormats(),
    /** Connected peers of other versions of the protocol. They do not take part here. */
    otherProtocols: peer.network.otherProtocols(),
    paths: Array.from({ length: peer.topology.paths }, (_, path) => {
      const [module] = peer.topology.modulesOfPath(path);
      const own = peer.swarm
        .lineage(module!)
        .contributions()
        .filter((contribution) => contribution.path === path);
      const last = own.at(-1);
      return {
        path,
        roundsDone: own.length,
        rounds: roundsOf(plan, module!, path),
        loss: last?.loss,
        by: last?.signer,
      };
    }),
    done: coordinator.done(),
    waiting: coordinator.waitingFor(now, peer.store.fetches()),
  };
}

/** Slots of all replicas of a path. */
function roundsOf(plan: Plan, module: string, path: number): number {
  const firsts = plan.lanesOf(module).map((lane) => plan.first(lane));
  return firsts.filter((slot) => slot.path === path).reduce((sum, slot) => sum + plan.left(slot), 0);
}

/** The relays through which members can be reached, as far as this peer was told. */
async function relaysOfMembers({ network, swarm }: Peer): Promise<Map<string, string[]>> {
  const members = swarm.coordinator.membership.live(performance.now());
  const known = members.map(async ({ peer }) => [peer, relaysIn(await network.addressesOf(peer))] as const);
  return new Map(await Promise.all(known));
}

/** One line for each other version of the protocol that somebody speaks. */
function describeOthers(others: Status["otherProtocols"]): string[] {
  const versions = Map.groupBy(others, ({ protocol }) => protocol);
  return [...versions].map(
    ([protocol, { length }]) =>
      `${length === 1 ? "1 peer speaks" : `${length} peers speak`} protocol ${protocol}, this one ${PROTOCOL}: ` +
      "another version of Pathweave, whose peers do not take part with these",
  );
}

function describe({ left, ...status }: Status, data: string): string[] {
  const leases = (peer: Status["peers"][number]): string =>
    peer.leases
      .map(
        ({ round, path, progress }) => `round ${round} path ${path} (${Math.round(100 * progress)}\u00A0%)`,
      )
      .join(", ") || "-";
  const rounds = { done: status.roundsDone, total: status.rounds };
  return [
    `run ${plain(status.name)}: ${status.done ? "complete, " : ""}${describeProgress({ rounds, left })}`,
    status.run,
    ...(status.waiting === undefined ? [] : wrapRows([status.waiting])),
    ...wrapRows(
      status.unknownFormats.map(
        ({ peer, reason }) =>
          `${peer} sends what this version of Pathweave does not know, which is passed over: ${plain(reason)}`,
      ),
    ),
    ...wrapRows(describeOthers(status.otherProtocols)),
    "",
    ...formatTable(
      ["peer", "role", "device", "tokens/s", "lease", "sent", "received"],
      status.peers.map((peer) => [
        peer.peer,
        peer.role,
        peer.device,
        Math.round(peer.tokensPerSecond).toString(),
        leases(peer),
        formatBytes(peer.bytesUp),
        formatBytes(peer.bytesDown),
      ]),
    ),
    ...wrapRows(
      status.peers.flatMap(({ peer, relays }) =>
        relays.map((relay) => `…${peer.slice(-6)} is reached through a relay at ${relay}`),
      ),
    ),
    "",
    ...formatTable(
      ["module", "generation", "tokens", "owners", "head"],
      status.heads.map((head) => [
        head.module,
        String(head.generation),
        String(head.tokens),
        head.owners.join(" "),
        head.cid,
      ]),
    ),
    "",
    ...formatTable(
      ["path", "rounds done", "of", "last loss", "by"],
      status.paths.map(({ path, roundsDone, rounds: all, loss, by }) => [
        String(path),
        String(roundsDone),
        String(all),
        formatNumber(loss),
        by ?? "-",
      ]),
    ),
    ...(status.done ? ["", ...nextSteps(data)] : []),
  ];
}
