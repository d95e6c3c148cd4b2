/* mutate - frames and requests with something wrong in them: changed, cut, doubled, spliced, with lengths that lie. */
import { encode } from "@msgpack/msgpack";

import { vectors } from "./vectors.mjs";

const SIZE_MAX = 4096; // of a frame that is mutated; the longer ones would only be more of the same

/* Frames of every kind, with every type of value. Without `seed`, which makes as many rows as it is told; `touch` costs
 * no more than there are. */
const seeds = vectors("client")
  .map(({ bytes }) => bytes)
  .filter((bytes) => bytes.length <= SIZE_MAX && !bytes.includes("seed"))
  .concat(Buffer.from(encode({ t: "call", txId: "t1", name: "touch", args: { n: 1 } })));

/* Bytes that start something: the unused one, long strings, blobs, arrays and maps, 64-bit numbers, extensions. */
const TAGS = [
  0xc1, 0xc0, 0xc6, 0xc9, 0xca, 0xcb, 0xcf, 0xd3, 0xd6, 0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0x80, 0x90, 0xff,
];

const flip = (bytes, random) => ((bytes[random.below(bytes.length)] ^= 1 << random.below(8)), bytes);

/* Mostly flipped bits: they leave frames that are nearly right. */
const changes = [
  flip,
  flip,
  flip,
  flip,
  (bytes, random) => ((bytes[random.below(bytes.length)] = random.pick(TAGS)), bytes),
  (bytes, random) => ((bytes[random.below(bytes.length)] = random.below(256)), bytes),
  (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1)),
  (bytes, random) => bytes.subarray(random.below(bytes.length)),
  (bytes, random) => {
    const at = random.below(bytes.length);
    const claim = Buffer.from([random.pick([0xdd, 0xdf, 0xdb, 0xc6, 0xc9]), 0xff, 0xff, 0xff, random.below(256)]);
    return Buffer.concat([bytes.subarray(0, at), claim, bytes.subarray(at)]);
  },
  (bytes, random) => {
    const [from, to] = [random.below(bytes.length), random.below(bytes.length)].sort((a, b) => a - b);
    return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
  },
];

const TX = Buffer.concat([encode("txId"), encode("t1")]);
const LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789";

/** Gives a transaction another id, or it would only be a repeat. */
function renamed(bytes, random) {
  const at = bytes.indexOf(TX);
  if (at >= 0) bytes.write(random.pick(LETTERS) + random.pick(LETTERS), at + TX.length - 2);
  return bytes;
}

/** One of `from`, changed once or a few times, and now and then joined with another. */
export function mutated(random, from = seeds) {
  let bytes = renamed(Buffer.from(random.pick(from)), random);
  if (random.below(10) === 0) {
    const other = random.pick(from);
    bytes = Buffer.concat([bytes.subarray(0, random.below(bytes.length)), other.subarray(random.below(other.length))]);
  }
  for (let n = random.pick([1, 1, 1, 2, 3]); n > 0 && bytes.length > 0; n--)
    bytes = random.pick(changes)(bytes, random);
  return bytes;
}
