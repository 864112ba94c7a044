/** Runs with a list of peers: who is off it is refused at every door, over real sockets. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { NetworkError, UnavailableError } from "../../../src/errors.ts";
import type { Logger } from "../../../src/log.ts";
import { Admission } from "../../../src/net/admission.ts";
import { rawBlock } from "../../../src/objects/object.ts";
import { openPeer } from "../store/support.ts";
import { startBootstrap, startPeer, temporaryDirectory, type TestPeer, until, reaches } from "./support.ts";
import { patient } from "../../waits.ts";

/** A logger that keeps its warnings, and tells of them as "warn" events. */
function recorder(): { lines: string[]; logger: Logger; warnings: EventTarget } {
  const lines: string[] = [];
  const warnings = new EventTarget();
  const keep = (line: string): void => {
    lines.push(line);
    warnings.dispatchEvent(new Event("warn"));
  };
  const logger: Logger = { debug() {}, info() {}, warn: keep, error: keep, component: () => logger };
  return { lines, logger, warnings };
}

function idOf({ network }: Pick<TestPeer, "network">): string {
  return network.peerId;
}

function addressOf({ network }: Pick<TestPeer, "network">): string {
  return network.addresses()[0]!;
}

function isConnected({ network }: Pick<TestPeer, "network">, peer: string): boolean {
  return network.connections().some((connection) => connection.peer === peer);
}

/** A peer that will admit only itself and the members, with what it logs. */
async function startMember(t: TestContext, bootstraps: string[] = []) {
  const { lines, logger } = recorder();
  const peer = await startPeer(t, { admission: new Admission(bootstraps, logger) });
  return { ...peer, lines };
}

test("a connected stranger is dropped, and can neither come back nor be dialled; the log says so once", async (t) => {
  const member = await startMember(t);
  const friend = await startPeer(t);
  const stranger = await startPeer(t);
  for (const peer of [friend, stranger]) await peer.network.dial(addressOf(member));
  await until(member.libp2p, "peer:connect", () => member.network.connections().length === 2);
  assert.deepEqual(member.lines, [], "before the list is known everybody may connect");

  const lost = until(stranger.libp2p, "peer:disconnect", () => !isConnected(stranger, idOf(member)));
  member.network.restrict([idOf(member), idOf(friend)]);
  await lost;
  assert.ok(isConnected(member, idOf(friend)));

  for (let again = 0; again < 2; again++) {
    // The stranger may believe for a moment that it is connected.
    await stranger.network.dial(addressOf(member)).catch(() => {});
    await until(stranger.libp2p, "peer:disconnect", () => !isConnected(stranger, idOf(member)));
    await assert.rejects(member.network.dial(addressOf(stranger)), NetworkError);
  }
  assert.ok(!isConnected(member, idOf(stranger)));
  assert.equal(member.lines.length, 1);
  assert.match(member.lines[0]!, new RegExp(`refused .*${idOf(stranger)}: it is not on the list`));
});

test("a bootstrap node is no member and still introduces members to each other", async (t) => {
  const node = await startBootstrap(t);
  const bootstrap = node.addresses();
  const boot = node.libp2p.peerId.toString();
  const one = await startPeer(t, { bootstrap, admission: new Admission([boot]) });
  const two = await startPeer(t, { bootstrap, admission: new Admission([boot]) });
  for (const peer of [one, two]) {
    peer.network.restrict([idOf(one), idOf(two)]);
    await until(peer.libp2p, "peer:connect", () => isConnected(peer, boot));
  }
  const { cid } = rawBlock(new Uint8Array(7));
  await one.network.provide(cid);
  const providers = [];
  for await (const { peer } of two.network.findProviders(cid)) providers.push(peer);
  assert.deepEqual(providers, [idOf(one)]);
  await two.network.dial(idOf(one));
});

test("a stranger that may connect, as a bootstrap, is neither heard, told nor answered", async (t) => {
  const boot = await startPeer(t);
  const member = await startMember(t, [idOf(boot)]);
  const friend = await startPeer(t, { admission: new Admission([idOf(boot)]) });
  await friend.network.dial(addressOf(member));
  await boot.network.dial(addressOf(member));
  await until(member.libp2p, "peer:connect", () => isConnected(member, idOf(boot)));
  for (const peer of [member, friend]) peer.network.restrict([idOf(member), idOf(friend)]);

  const topic = "/pathweave/test";
  const heard = new Map<string, string[]>();
  const arrived = new EventTarget();
  for (const [name, peer] of Object.entries({ boot, member, friend })) {
    heard.set(name, []);
    peer.network.subscribe(topic, {
      validate: (_from, data) => data,
      deliver: (_from, data) => {
        heard.get(name)!.push(Buffer.from(data).toString());
        arrived.dispatchEvent(new Event("message"));
      },
    });
  }
  // All could tell each other everything, were it not for the list.
  await Promise.all([reaches(boot, [topic], [member]), reaches(friend, [topic], [member])]);
  await boot.network.publish(topic, Buffer.from("from the stranger"));
  const hears = (name: string, message: string) =>
    until(arrived, "message", () => heard.get(name)!.includes(message));
  await friend.network.publish(topic, Buffer.from("from a friend"));
  await hears("member", "from a friend");
  await reaches(member, [topic], [friend]);
  await member.network.publish(topic, Buffer.from("from the member"));
  await hears("friend", "from the member");
  assert.ok(!heard.get("member")!.includes("from the stranger"));
  assert.deepEqual(heard.get("boot"), []);

  await member.network.handle("/pathweave/test/1", async () => new Uint8Array(1));
  await assert.rejects(
    boot.network.request(idOf(member), "/pathweave/test/1", new Uint8Array(1)),
    NetworkError,
  );
  assert.equal(
    (await friend.network.request(idOf(member), "/pathweave/test/1", new Uint8Array(1))).length,
    1,
  );
  assert.equal(member.lines.filter((line) => line.includes(idOf(boot))).length, 1);
});

test("blocks are for members only", async (t) => {
  const directory = await temporaryDirectory(t);
  const boot = await openPeer(t, join(directory, "boot"));
  const friend = await openPeer(t, join(directory, "friend"));
  const { lines, logger, warnings } = recorder();
  const admission = new Admission([idOf(boot)], logger);
  const member = await openPeer(t, join(directory, "member"), { admission });
  member.network.restrict([idOf(member), idOf(friend)]);
  const block = rawBlock(Buffer.from("a tensor"));
  await member.store.put([block]);
  for (const peer of [boot, friend]) await peer.network.dial(addressOf(member));
  const giveUp = new AbortController();
  const holders = [idOf(member)];
  const refused = assert.rejects(
    boot.store.get(block.cid, { holders, signal: giveUp.signal }),
    UnavailableError,
  );
  // The member hangs up on the stranger, and answers the friend that asks after it.
  await until(warnings, "warn", () => lines.some((line) => line.includes(idOf(boot))));
  const bytes = await friend.store.get(block.cid, { holders, signal: patient });
  assert.equal(Buffer.from(bytes).toString(), "a tensor");
  assert.equal(await boot.store.has(block.cid), false);
  giveUp.abort();
  await refused;
});
