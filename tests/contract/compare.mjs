/*
 * compare - what two servers said to the same client, by what the contract promises of it.
 */
import { isDeepStrictEqual } from "node:util";

/** A subscription's frames as steps, without `delete`s of rows that it never held. */
function steps(frames, sub) {
  const held = new Set();
  const result = [];
  for (const frame of frames) {
    if (frame.sub !== sub) continue;
    const { t, op = null, key = null } = frame;
    if (op === "delete" && !held.delete(key)) continue;
    if (t === "snap" || (t === "d" && op !== "delete")) held.add(key);
    result.push({ t, op, key, row: frame.row ?? frame.cols ?? null });
  }
  return result;
}

/** Whether `few` can be made from `many` by leaving out some, but not the last. */
function isJoined(few, many) {
  let at = 0;
  for (const one of few) {
    while (at < many.length && !isDeepStrictEqual(one, many[at])) at++;
    if (at++ >= many.length) return false;
  }
  return isDeepStrictEqual(few.at(-1), many.at(-1));
}

const deltasByKey = (deltas) => {
  const keys = new Map();
  for (const delta of deltas) {
    const earlier = keys.get(delta.key) ?? [];
    keys.delete(delta.key); // so that the keys come in the order of their latest change
    keys.set(delta.key, [...earlier, delta]);
  }
  return keys;
};

/* The recording may have ended before the last changes reached a subscription; what is behind them here goes. */
function cutAfter(steps, last) {
  const at = steps.findLastIndex((one) => isDeepStrictEqual(one, last));
  return at < 0 ? steps : steps.slice(0, at + 1);
}

/**
 * Compares a subscription's frames. Returns how many were compared, or throws with the first difference. A catch-up may
 * end before or after changes that happen while it runs, so the deltas are compared by key, behind the frames that are
 * not deltas.
 */
export function compareSubscription(recorded, ours, sub) {
  const theirs = steps(recorded, sub);
  const own = cutAfter(steps(ours, sub), theirs.at(-1));
  const [theirFrames, ownFrames] = [theirs, own].map((all) => all.filter(({ t }) => t !== "d"));
  theirFrames.forEach((frame, i) => {
    if (!isDeepStrictEqual(ownFrames[i], frame)) throw new Error(difference(sub, frame, ownFrames[i]));
  });
  if (ownFrames.length > theirFrames.length) throw new Error(difference(sub, undefined, ownFrames[theirFrames.length]));

  const [theirKeys, ownKeys] = [theirs, own].map((all) => deltasByKey(all.filter(({ t }) => t === "d")));
  if (!isDeepStrictEqual([...ownKeys.keys()], [...theirKeys.keys()]))
    throw new Error(difference(sub, [...theirKeys.keys()], [...ownKeys.keys()]));
  for (const [key, deltas] of theirKeys) {
    const mine = ownKeys.get(key);
    if (!isJoined(mine, deltas) && !isJoined(deltas, mine)) throw new Error(difference(sub, deltas, mine));
  }
  return theirs.length;
}

const difference = (sub, expected, got) =>
  `${sub}: recorded ${JSON.stringify(expected)}, but this server said ${JSON.stringify(got)}`;

/** Compares the kind of a transaction's answer. Throws if it is another, or comes before its own deltas. */
export function compareAnswer(recorded, ours, mut) {
  const find = (frames) => frames.findIndex((one) => one.txId === mut.txId && one.t !== "mut");
  const [expected, at] = [recorded[find(recorded)], find(ours)];
  if (ours[at]?.t !== expected.t) throw new Error(difference(mut.txId, expected, ours[at]));
  if (expected.t !== "committed") return;
  for (const { key } of mut.ops ?? []) {
    const late = ours.findIndex((one, i) => i > at && one.key === key && Number(one.seq) <= Number(ours[at].seq));
    if (late >= 0) throw new Error(`the confirmation of ${mut.txId} came before its own change of ${key}`);
  }
}
