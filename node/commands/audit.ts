import type { CommandModule } from "yargs";
import { auditDisks } from "../../src/audit/audit.ts";
import { readEventLog } from "../../src/audit/events.ts";
import type { AuditReport } from "../../src/audit/types.ts";
import { InvalidObjectError, UsageError } from "../../src/errors.ts";
import { holdsInvite } from "../../src/run/find-invite.ts";
import { isInvite } from "../../src/run/invite.ts";
import type { ObserveFlags } from "../observe.ts";
import { observeOptions } from "../options.ts";
import { counted, createProgress, formatJson, type Progress } from "../output.ts";
import { shortenIds, terminalWidth, wrap } from "../table.ts";
import { COMMAND_STOPS, onInterrupt, untilInterrupted } from "../shutdown.ts";

interface AuditFlags extends ObserveFlags {
  where: string[];
  from: string;
  events: string | undefined;
  json: boolean;
}

export const command: CommandModule<object, AuditFlags> = {
  describe: "Fold every generation of every module again and compare CIDs",
  builder: (yargs) =>
    yargs
      .positional("where", {
        type: "string",
        array: true,
        default: [] as string[],
        describe:
          "Folders of peers of one run, which audit reads without a network, or an invite; by default --data",
      })
      .options({
        ...observeOptions,
        from: {
          type: "string",
          default: "genesis",
          requiresArg: true,
          describe: "Where to begin in folders: genesis, or head~N for the newest N generations",
        },
        events: {
          type: "string",
          requiresArg: true,
          describe: "Log of what peers said and of faults, as demo --chaos writes it",
        },
      })
      .example("$0 audit", "everything that is in .pathweave")
      .example("$0 audit --from head~10 peer-1 peer-2", "the newest generations, out of two folders")
      .example("$0 audit pathweave1…", "needs a peer that keeps all tensors: join --archive")
      .example("$0 audit --invite-file lab.invite", "the same for an invite that nobody else should see"),
  async handler(flags) {
    const [first] = flags.where;
    const progress = createProgress(process.stderr);
    try {
      const invite = first !== undefined && (isInvite(first) || holdsInvite(first)) ? first : undefined;
      if (invite === undefined && flags["invite-file"] === undefined) await auditFolders(flags, progress);
      else await auditSwarm(flags, invite, progress);
    } finally {
      progress[Symbol.dispose]();
    }
  },
};

/** How many generations `genesis` or `head~N` leaves to fold again; undefined for all. Throws UsageError. */
export function newestOf(from: string): number | undefined {
  if (from === "genesis") return undefined;
  const generations = /^head~(\d{1,9})$/.exec(from)?.[1];
  if (generations === undefined)
    throw new UsageError(`--from is "${from}"; give genesis, or head~N such as head~10.`);
  return Number(generations);
}

async function auditFolders(flags: AuditFlags, progress: Progress): Promise<void> {
  const newest = newestOf(flags.from);
  progress.update("reading the blocks");
  const report = await auditDisks({
    directories: flags.where.length === 0 ? [flags.data] : flags.where,
    ...(newest === undefined ? {} : { newest }),
    ...(flags.events === undefined ? {} : { events: readEventLog(flags.events) }),
    onVersion: ({ module, generation }) => progress.update(`folded ${module} generation ${generation} again`),
  });
  progress.update(`folded ${counted(report.refolded, "version")} again`);
  process.stdout.write(flags.json ? `${formatJson(report)}\n` : describe(report));
  if (report.problems.length > 0) throw new InvalidObjectError(report.problems.join("\n"));
}

function describe(report: AuditReport): string {
  const { modules, generations, contributions, folded, rejected, waiting, diedWithDisk, lost } = report;
  const lines = [
    `run ${report.run}: ${counted(generations, "outer update")} of ${counted(modules.length, "module")}`,
    `${counted(report.refolded, "version")} folded again, ${report.unverifiable} not${report.unverifiable === 0 ? "" : ": some of their tensors are on none of these disks"}`,
    `${counted(contributions, "contribution")}: ${folded} folded, ${rejected} rejected, ${waiting} waiting, ${diedWithDisk} died with their disk, ${lost} lost`,
  ];
  if (report.firstBadVersion === undefined)
    lines.push("Every version that audit folded again follows from its contributions.");
  else {
    const { module, generation, cid, announcedBy } = report.firstBadVersion;
    const who =
      announcedBy.length === 0 ? "nobody knows who announced it" : `announced by ${announcedBy.join(", ")}`;
    lines.push(`The first that does not follow is ${module} generation ${generation} (${cid}), ${who}.`);
  }
  // A terminal breaks words, a file does not.
  const fitting = process.stdout.isTTY
    ? shortenIds(lines).flatMap((line) => wrap(line, terminalWidth()))
    : lines;
  return `${fitting.join("\n")}\n`;
}

async function auditSwarm(flags: AuditFlags, invite: string | undefined, progress: Progress): Promise<void> {
  const folders = invite === undefined ? flags.where : flags.where.slice(1);
  if (folders.length > 0 || flags.from !== "genesis" || flags.events !== undefined)
    throw new UsageError("Give an invite alone: folders, --from and --events belong to an audit of folders.");
  // Folders are read without the network and the engine, which are slow to load.
  const { observe } = await import("../observe.ts");
  const shutdown = onInterrupt(() => process.stderr.write(`${COMMAND_STOPS}\n`));
  const audited = observe(
    { ...flags, invite },
    shutdown.signal,
    async ({ swarm, topology, run }) => {
      progress.update("fetching the lineage");
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
    },
    (doing) => progress.update(doing),
  );
  const result = await untilInterrupted(shutdown.signal, audited);
  if (flags.json) process.stdout.write(`${formatJson(result)}\n`);
  else
    process.stdout.write(
      `${result.versions === 1 ? "The one version follows" : `All ${result.versions} versions follow`} from their contributions.\n`,
    );
}
