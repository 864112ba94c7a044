/** The topics of a run: one for heartbeats, and one for the records of each module. */
import type { CID } from "multiformats/cid";
import { InvalidObjectError, messageOf, UnknownFormatError } from "../../errors.ts";
import type { Network, Refusal } from "../../net/types.ts";
import { isAdmitted, type RunConfig } from "../../objects/config.ts";
import { PROTOCOL } from "../../objects/protocol.ts";
import { type OpenedRecord, openRecord } from "../../outer/records.ts";
import type { Charge } from "../conduct/discipline.ts";
import { Heartbeat, LineageRecord } from "../messages.ts";

export interface GossipInit {
  network: Pick<Network, "subscribe" | "unsubscribe" | "publish">;
  run: CID;
  config: RunConfig;
  modules: readonly string[];
  hear(from: string, heartbeat: Heartbeat): void;
  /** Takes in a record that its sender published, in the background. */
  receive(opened: OpenedRecord, from: string): void;
  charge: Charge;
  /** Told who sent a message in a format that is not known here. */
  notUnderstood(peer: string, reason: string): void;
}

export interface Gossip {
  start(): void;
  stop(): void;
  /** Says a heartbeat to everybody. */
  speak(heartbeat: Uint8Array): Promise<void>;
  /** Tells everybody of a version or contribution. */
  announce(module: string, block: Uint8Array): Promise<void>;
}

export function createGossip(init: GossipInit): Gossip {
  const { network, run, config, modules, charge } = init;
  const runTopic = `/pathweave/${PROTOCOL}/${run.toString()}`;
  const topicOf = (module: string): string => `${runTopic}/${module}`;

  /** What is of an unknown format is passed over: neither taken in nor held against anybody. */
  async function understood<T extends object>(
    from: string,
    validate: () => Promise<T>,
  ): Promise<T | Refusal> {
    try {
      return await validate();
    } catch (error) {
      if (!(error instanceof UnknownFormatError)) throw error;
      init.notUnderstood(from, messageOf(error));
      return "ignore";
    }
  }

  function checkRun(of: CID): void {
    if (!of.equals(run)) throw new InvalidObjectError(`It is of another run, ${of.toString()}.`);
  }

  // Both throw InvalidObjectError, which the network takes for a rejection, with its reason.

  function validateHeartbeat(data: Uint8Array): Heartbeat {
    const heartbeat = Heartbeat.decode(data);
    checkRun(heartbeat.run);
    return heartbeat;
  }

  async function validateRecord(module: string, data: Uint8Array): Promise<OpenedRecord> {
    const message = LineageRecord.decode(data);
    checkRun(message.run);
    const opened = await openRecord(message.block);
    const { type, record } = opened;
    if (type === "contribution" && !isAdmitted(config, record.signer))
      throw new InvalidObjectError("Its signer is not on the list of peers that the run admits.");
    if (record.module !== module)
      throw new InvalidObjectError(`It is of ${record.module}, not of ${module}.`);
    return opened;
  }

  const rejected = (from: string, data: Uint8Array, reason: string): void =>
    charge(from, "malformed-message", reason, { bytes: data });

  return {
    start() {
      network.subscribe(runTopic, {
        validate: (from, data) => understood(from, async () => validateHeartbeat(data)),
        deliver: init.hear,
        rejected,
      });
      for (const module of modules)
        network.subscribe(topicOf(module), {
          validate: (from, data) => understood(from, () => validateRecord(module, data)),
          deliver: (from, opened) => init.receive(opened, from),
          rejected,
        });
    },
    stop() {
      network.unsubscribe(runTopic);
      for (const module of modules) network.unsubscribe(topicOf(module));
    },
    async speak(heartbeat) {
      await network.publish(runTopic, heartbeat);
    },
    async announce(module, block) {
      const { bytes } = LineageRecord.encode({ run, block });
      await network.publish(topicOf(module), bytes);
    },
  };
}
