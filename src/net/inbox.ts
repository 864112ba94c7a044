/** What is done with a gossip message before it is forwarded, and after: the same whatever carries it. */
import { InvalidObjectError, messageOf, NetworkError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Admission } from "./admission.ts";
import type { GossipHandler, PeerJudge, Refusal } from "./types.ts";

/** Gossip carries announcements; tensors travel as blocks. */
const MAX_GOSSIP_BYTES = 256 << 10;

/** Throws NetworkError when a message is too large to be published. */
export function checkGossipSize(data: Uint8Array): void {
  if (data.byteLength > MAX_GOSSIP_BYTES)
    throw new NetworkError(
      `A message of ${data.byteLength} bytes is over the gossip limit of ${MAX_GOSSIP_BYTES}; put it in a block and announce its CID.`,
    );
}

export interface Inbox {
  add<T extends object>(topic: string, handler: GossipHandler<T>): void;
  remove(topic: string): void;
  /** Judges a message of the verified author `from`. `key` stands for it until `deliver`, and is not kept. */
  validate(key: object, from: string, topic: string, data: Uint8Array): Promise<"accept" | Refusal>;
  /** Hands on what an accepted message says, if its topic is still listened to. */
  deliver(key: object): void;
}

type Validate = (key: object, from: string, data: Uint8Array) => Promise<"accept" | Refusal>;

export function createInbox(log: Logger, judge: PeerJudge, admission?: Admission): Inbox {
  const topics = new Map<string, Validate>();
  /** How each accepted message is delivered. */
  const accepted = new WeakMap<object, () => void>();

  function validatorOf<T extends object>(topic: string, handler: GossipHandler<T>): Validate {
    const validate: Validate = async (key, from, data) => {
      const reject = (reason: string): "reject" => {
        handler.rejected?.(from, data, reason);
        return "reject";
      };
      if (data.byteLength > MAX_GOSSIP_BYTES) return reject(`It has ${data.byteLength} bytes.`);
      if (admission?.admits(from, "a message of") === false) return "reject";
      try {
        const message = await handler.validate(from, data);
        if (message === "reject") return reject("It is not valid.");
        if (message === "ignore") return "ignore";
        accepted.set(key, () => {
          if (topics.get(topic) === validate) handler.deliver(from, message);
        });
        return "accept";
      } catch (error) {
        if (error instanceof InvalidObjectError) return reject(messageOf(error));
        // Our fault, not the sender's.
        log.error(`validating a message on ${topic} failed: ${messageOf(error)}`);
        return "ignore";
      }
    };
    return validate;
  }

  return {
    add: (topic, handler) => void topics.set(topic, validatorOf(topic, handler)),
    remove: (topic) => void topics.delete(topic),
    async validate(key, from, topic, data) {
      const validate = topics.get(topic);
      // Whoever passed on what a blocked peer said need not know that it is blocked here.
      if (validate === undefined || judge.blocked(from)) return "ignore";
      return validate(key, from, data);
    },
    deliver(key) {
      try {
        accepted.get(key)?.();
      } catch (error) {
        log.error(`handling a message failed: ${messageOf(error)}`);
      }
    },
  };
}
