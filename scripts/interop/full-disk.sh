#!/usr/bin/env bash
# A peer whose disk fills up in the middle of a run says so in one line, ends with a non-zero code, and goes on from
# what it had once there is space; a read-only disk is refused at once. Needs Linux and root (it mounts a tmpfs).
# Usage: npm run interop:full-disk
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$(mktemp -d)
disk="$work/disk"
mkdir "$disk"
mount -t tmpfs -o size=32m tmpfs "$disk"
cleanup() {
  [ -z "${peer:-}" ] || kill -9 "$peer" 2>/dev/null || true
  umount "$disk"
  rm -rf "$work"
}
trap cleanup EXIT

fail() {
  echo "failed: $1" >&2
  cat "$2" >&2
  exit 1
}
# Waits until a pattern is in a file, for at most a minute.
await() { timeout 60 bash -c 'until grep -qE "$1" "$2"; do sleep 0.2; done' _ "$1" "$2" || fail "no '$1'" "$2"; }
join=(node node/launch.js join --data "$disk/peer" --listen /ip4/127.0.0.1/tcp/0 --no-mdns)

node --input-type=module -e "
  import { createTinyRun } from './test/e2e/tiny-run.ts';
  await createTinyRun('$work', '$disk/peer');
"

"${join[@]}" > "$work/full.log" 2>&1 &
peer=$!
await "^round 0 .* is done" "$work/full.log"
dd if=/dev/zero of="$disk/fill" bs=64k 2>/dev/null || true
code=0
wait "$peer" || code=$?
peer=
[ "$code" -ne 0 ] || fail "the peer ended with 0" "$work/full.log"
grep -q "pathweave: Cannot use .*the disk is full" "$work/full.log" || fail "no clear line" "$work/full.log"
rm "$disk/fill"
echo "ok: a full disk ends the peer with its reason"

"${join[@]}" > "$work/again.log" 2>&1 &
peer=$!
await "The run is complete" "$work/again.log"
kill -INT "$peer"
wait "$peer" || fail "the peer did not end in order" "$work/again.log"
peer=
echo "ok: with space again, the run goes on from disk and completes"

mount -o remount,ro "$disk"
if "${join[@]}" > "$work/read-only.log" 2>&1; then fail "a read-only disk was accepted" "$work/read-only.log"; fi
grep -q "the disk is read-only" "$work/read-only.log" || fail "no clear line" "$work/read-only.log"
echo "ok: a read-only disk is refused"
