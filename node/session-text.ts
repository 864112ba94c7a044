/** What a peer's session shows on a terminal. */
import { dataFlag, pathweaveCommand, pathweaveCommandElsewhere } from "../src/invocation.ts";
import { relaysIn } from "../src/net/scope.ts";
import { describeRun } from "../src/run/describe.ts";
import { nextSteps } from "./next-steps.ts";
import {
  counted,
  createProgress,
  formatBar,
  formatBytes,
  formatDuration,
  formatNumber,
  wrapRows,
} from "./output.ts";
import { describeProgress, type RunProgress } from "./run-progress.ts";
import type { View } from "./session-view.ts";

export function textView(data: string): View {
  const progress = createProgress(process.stdout);
  const short = (peer: string): string => `…${peer.slice(-6)}`;
  let live = 0;
  let run: RunProgress | undefined;
  const peers = (): string => `${counted(live + 1, "peer")} in the swarm`;
  let through = new Set<string>();
  return {
    joining: () => progress.update("joining the run"),
    failed() {
      progress.update(undefined);
      progress[Symbol.dispose]();
    },
    leaving: () => progress.update("leaving"),
    progress(now) {
      run = now;
    },
    started(peer) {
      const lines = describeRun(peer.manifest.config, peer.topology, peer.sizes);
      for (const line of wrapRows(lines)) progress.line(line);
      progress.line(`peer ${peer.network.peerId}`);
      for (const address of peer.network.addresses()) progress.line(`  listening on ${address}`);
      const invite = peer.invite();
      progress.line("To add another machine, run there:");
      progress.line(
        `  ${pathweaveCommandElsewhere("join", ...(invite === undefined ? ["--invite-file", "lab.invite"] : [invite]))}`,
      );
      if (invite === undefined)
        progress.line(
          `with the file that this makes: ${pathweaveCommand("invite", ...dataFlag(data))} > lab.invite`,
        );
      progress.update("looking for peers of the run");
    },
    reach({ relays }) {
      const now = new Set(relaysIn(relays));
      for (const relay of now) if (!through.has(relay)) progress.line(`reached through a relay at ${relay}`);
      for (const relay of through)
        if (!now.has(relay))
          progress.line(
            `lost the relay at ${relay}${now.size === 0 ? "; looking for it and for another" : ""}`,
          );
      through = now;
    },
    event(event) {
      switch (event.type) {
        case "member":
          live = event.live;
          if (event.role === "worker")
            progress.line(
              `${event.state === "joined" ? "+" : "-"} peer ${short(event.peer)} ${event.state}; ${peers()}`,
            );
          break;
        case "step":
          progress.update(
            `round ${event.round} path ${event.path} ${formatBar(event.step, event.steps)} loss ${formatNumber(event.loss)} ` +
              `lr ${event.learningRate.toExponential(1)} ${Math.round(event.tokensPerSecond)} tokens/s, ` +
              `round done in about ${formatDuration(event.millisecondsLeft)}` +
              `${run === undefined ? "" : `; run: ${describeProgress(run)}`}; ${counted(live + 1, "peer")}`,
          );
          break;
        case "lease":
          if (event.state === "abandoned")
            progress.line(`gave up round ${event.round} of path ${event.path}: ${event.reason ?? ""}`);
          if (event.state === "completed")
            progress.line(`round ${event.round} of path ${event.path} is done and announced`);
          if (event.state === "abandoned" || event.state === "completed")
            progress.update(
              `looking for the next round${run === undefined ? "" : `; run: ${describeProgress(run)}`}`,
            );
          break;
        case "version":
          progress.line(
            `${event.module} generation ${event.generation}: ${event.how} ${madeOf(event)} in ${formatDuration(event.milliseconds)}`,
          );
          break;
        case "rejected":
          progress.line(`rejected ${event.cid} of ${event.module}: ${event.reason}`);
          break;
        case "passed-over":
          progress.line(
            `passing over generation ${event.generation} of ${event.module} until its tensors arrive: ${event.reason}`,
          );
          break;
        case "unknown-format":
          progress.line(
            `ignoring what peer ${short(event.peer)} sends; it or this peer may run an old version of Pathweave: ${event.reason}`,
          );
          break;
        case "blocked":
          progress.line(
            `blocked peer ${short(event.peer)} for ${formatDuration(1000 * event.seconds)}, ${event.offence}: ${event.reason}`,
          );
          break;
        case "split":
          progress.line(
            `found another half of the run: ${event.peers.map(short).join(", ")} with other heads of ${counted(event.heads, "module")}; merging`,
          );
          break;
        case "waiting":
          progress.update(event.reason);
          break;
        case "done":
          progress.line("The run is complete: its versions hold every round of every path.");
          for (const line of nextSteps(data)) progress.line(line);
          progress.update("serving the complete run until Ctrl-C");
          break;
      }
    },
    stopped(event) {
      progress.update(undefined);
      progress[Symbol.dispose]();
      process.stdout.write(
        `left after ${formatDuration(1000 * event.seconds)}: ${formatBytes(event.bytesUp)} sent, ${formatBytes(event.bytesDown)} received\n`,
      );
    },
  };
}

/** What a version is made of. */
function madeOf({ generation, contributions }: { generation: number; contributions: number }): string {
  return generation === 0 ? "(the warm start)" : `from ${counted(contributions, "contribution")}`;
}
