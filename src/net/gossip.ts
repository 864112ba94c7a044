/**
 * Gossip on topics. The only file that imports gossipsub: `@libp2p/gossipsub` is a stopgap until its
 * former maintainers publish a version for libp2p 3.
 */
import { type GossipSub, gossipsub, TopicValidatorResult } from "@libp2p/gossipsub";
import { createTopicScoreParams } from "@libp2p/gossipsub/score";
import { InvalidObjectError, messageOf, NetworkError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Admission } from "./admission.ts";
import { reasonOf } from "./deadline.ts";
import type { GossipHandler, Network, PeerJudge } from "./types.ts";

export type { GossipSub };

/** Gossip carries announcements; tensors travel as blocks. */
export const MAX_GOSSIP_BYTES = 256 << 10;
/** One frame may carry several messages that a peer asked for. */
const MAX_FRAME_BYTES = 4 << 20;

/** Far below every threshold: neither listened to nor told anything. */
const STRANGER_SCORE = -1e6;

export function gossipService(): ReturnType<typeof gossipsub> {
  return gossipsub({
    // The first peer of a run has nobody to tell.
    allowPublishToZeroTopicPeers: true,
    maxInboundDataLength: MAX_FRAME_BYTES,
    // Gossip is small; it may cross a relay that limits data.
    runOnLimitedConnection: true,
    // A penalty for sharing an address: with the default, more than ten peers behind one address (a lab,
    // a home, one machine in tests) get no mesh at all.
    scoreParams: { IPColocationFactorWeight: 0, appSpecificWeight: 1 },
  });
}

/**
 * Only rejected messages cost score (P4). The delivery rates that the other terms reward or punish
 * depend on run and role. Two rejected messages reach the graylist (−80); a penalty fades in ten minutes.
 */
const topicScore = createTopicScoreParams({
  topicWeight: 1,
  timeInMeshWeight: 0,
  firstMessageDeliveriesWeight: 0,
  meshMessageDeliveriesWeight: 0,
  meshFailurePenaltyWeight: 0,
  invalidMessageDeliveriesWeight: -20,
  invalidMessageDeliveriesDecay: 0.992,
});

/** A part of the implementation that its interface does not declare. */
interface Scored {
  score: {
    params: { topics: Record<string, typeof topicScore>; appSpecificScore(peer: string): number };
    score(peer: string): number;
  };
}

function isScored(pubsub: GossipSub): pubsub is GossipSub & Scored {
  return "score" in pubsub;
}

function scoring(pubsub: GossipSub): Scored["score"] {
  if (!isScored(pubsub)) throw new Error("this version of gossipsub does not score peers");
  return pubsub.score;
}

/** A peer's gossip score here; below −80 it is not listened to. */
export function gossipScore(pubsub: GossipSub, peer: string): number {
  return scoring(pubsub).score(peer);
}

export type Gossip = Pick<Network, "subscribe" | "unsubscribe" | "publish" | "subscribers">;

export function createGossip(
  pubsub: GossipSub,
  log: Logger,
  judge: PeerJudge,
  admission?: Admission,
): Gossip {
  const handlers = new Map<string, GossipHandler>();
  // P5, so that a peer that misbehaves elsewhere is not listened to here either.
  scoring(pubsub).params.appSpecificScore = (peer) =>
    admission?.admits(peer, "gossip of") === false ? STRANGER_SCORE : -judge.penalty(peer);

  async function validate(from: string, topic: string, data: Uint8Array): Promise<TopicValidatorResult> {
    const handler = handlers.get(topic);
    // Whoever passed on what a blocked peer said need not know that it is blocked here.
    if (handler === undefined || judge.blocked(from)) return TopicValidatorResult.Ignore;
    const reject = (reason: string): TopicValidatorResult => {
      handler.rejected?.(from, data, reason);
      return TopicValidatorResult.Reject;
    };
    if (data.byteLength > MAX_GOSSIP_BYTES) return reject(`It has ${data.byteLength} bytes.`);
    if (admission?.admits(from, "a message of") === false) return TopicValidatorResult.Reject;
    try {
      const verdict = await handler.validate(from, data);
      if (verdict === "accept") return TopicValidatorResult.Accept;
      return verdict === "reject" ? reject("It is not valid.") : TopicValidatorResult.Ignore;
    } catch (error) {
      if (error instanceof InvalidObjectError) return reject(messageOf(error));
      // Our fault, not the sender's.
      log.error(`validating a message on ${topic} failed: ${messageOf(error)}`);
      return TopicValidatorResult.Ignore;
    }
  }

  pubsub.addEventListener("message", ({ detail }) => {
    if (detail.type !== "signed") return;
    try {
      handlers.get(detail.topic)?.deliver(detail.from.toString(), detail.data);
    } catch (error) {
      log.error(`handling a message on ${detail.topic} failed: ${messageOf(error)}`);
    }
  });

  return {
    subscribe(topic, handler) {
      handlers.set(topic, handler);
      // Without parameters for the topic, rejected messages cost no score.
      scoring(pubsub).params.topics[topic] = topicScore;
      pubsub.topicValidators.set(topic, async (_forwarder, message) =>
        message.type === "signed"
          ? await validate(message.from.toString(), topic, message.data)
          : TopicValidatorResult.Reject,
      );
      pubsub.subscribe(topic);
    },
    unsubscribe(topic) {
      pubsub.unsubscribe(topic);
      pubsub.topicValidators.delete(topic);
      handlers.delete(topic);
    },
    async publish(topic, data) {
      if (data.byteLength > MAX_GOSSIP_BYTES)
        throw new NetworkError(
          `A message of ${data.byteLength} bytes is over the gossip limit of ${MAX_GOSSIP_BYTES}; put it in a block and announce its CID.`,
        );
      try {
        const { recipients } = await pubsub.publish(topic, data);
        return recipients.map((peer) => peer.toString());
      } catch (error) {
        throw new NetworkError(`Publishing on ${topic} failed: ${reasonOf(error)}.`, { cause: error });
      }
    },
    subscribers: (topic) => pubsub.getSubscribers(topic).map((peer) => peer.toString()),
  };
}
