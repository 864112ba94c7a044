/**
 * Gossip on topics. The only file that imports gossipsub: `@libp2p/gossipsub` is a stopgap until its
 * former maintainers publish a version for libp2p 3.
 */
import { type GossipSub, gossipsub, TopicValidatorResult } from "@libp2p/gossipsub";
import { createTopicScoreParams } from "@libp2p/gossipsub/score";
import { NetworkError } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { Admission } from "./admission.ts";
import { reasonOf } from "./deadline.ts";
import { checkGossipSize, createInbox } from "./inbox.ts";
import type { Network, PeerJudge } from "./types.ts";

export type { GossipSub };

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

const RESULTS = {
  accept: TopicValidatorResult.Accept,
  reject: TopicValidatorResult.Reject,
  ignore: TopicValidatorResult.Ignore,
};

export type Gossip = Pick<Network, "subscribe" | "unsubscribe" | "publish" | "subscribers">;

export function createGossip(
  pubsub: GossipSub,
  log: Logger,
  judge: PeerJudge,
  admission?: Admission,
): Gossip {
  const inbox = createInbox(log, judge, admission);
  // P5, so that a peer that misbehaves elsewhere is not listened to here either.
  scoring(pubsub).params.appSpecificScore = (peer) =>
    admission?.admits(peer, "gossip of") === false ? STRANGER_SCORE : -judge.penalty(peer);

  // The validator and this event get the same object for one message.
  pubsub.addEventListener("message", ({ detail }) => inbox.deliver(detail));

  return {
    subscribe(topic, handler) {
      inbox.add(topic, handler);
      // Without parameters for the topic, rejected messages cost no score.
      scoring(pubsub).params.topics[topic] = topicScore;
      pubsub.topicValidators.set(topic, async (_forwarder, message) =>
        message.type === "signed"
          ? RESULTS[await inbox.validate(message, message.from.toString(), topic, message.data)]
          : TopicValidatorResult.Reject,
      );
      pubsub.subscribe(topic);
    },
    unsubscribe(topic) {
      pubsub.unsubscribe(topic);
      pubsub.topicValidators.delete(topic);
      inbox.remove(topic);
    },
    async publish(topic, data) {
      checkGossipSize(data);
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
