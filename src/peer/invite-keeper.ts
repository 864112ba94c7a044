/** Keeps the file with the invite up to date with what is known of the ways to this peer. */
import { messageOf } from "../errors.ts";
import type { Logger } from "../log.ts";
import { writeInvite } from "../store/invite-file.ts";

export interface InviteKeeper {
  /** Writes the last invite. */
  stop(): Promise<void>;
}

/** Writes the invite and then each other one. Rejects when the first cannot be written. */
export async function keepInvite(
  directory: string,
  invite: () => string,
  onReach: (changed: () => void) => () => void,
  logger: Logger,
): Promise<InviteKeeper> {
  let kept = "";
  const keep = serial(async () => {
    const current = invite();
    if (current !== kept) await writeInvite(directory, current);
    kept = current;
  });
  await keep();
  const stopKeeping = onReach(() => {
    keep().catch((error: unknown) => logger.warn(`the invite was not written: ${messageOf(error)}`));
  });
  return {
    async stop() {
      stopKeeping();
      await keep().catch(() => {});
    },
  };
}

/** Runs an action once at a time; calls during a run share one that comes after it. */
function serial(action: () => Promise<void>): () => Promise<void> {
  let running = Promise.resolve();
  let next: Promise<void> | undefined;
  return () => {
    next ??= running.then(() => {
      next = undefined;
      return action();
    });
    running = next.catch(() => {});
    return next;
  };
}
