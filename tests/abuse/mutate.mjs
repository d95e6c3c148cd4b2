/* mutate - frames and requests with something wrong in them: changed, cut, doubled, spliced, with lengths that lie. */
import { encode } from "@msgpack/msgpack";

const ref = (name) => ({ type: "ref", path: [name] });
const val = (value) => ({ type: "val", value });
const func = (name, ...args) => ({ type: "func", name, args });
const row = (cols) => [{ type: "insert", key: "fuzz", cols }];

/** Frames of every kind, with every type of value. None of them costs the server much, whatever becomes of it. */
export const seeds = [
  { t: "sub", subId: "s1", collection: "notes" },
  { t: "sub", subId: "s2", collection: "tasks", where: null, orderBy: null, limit: null, since: null },
  { t: "sub", subId: "s3", collection: "tasks", since: "123456789" },
  {
    t: "sub",
    subId: "s4",
    collection: "tasks",
    where: func("and", func("eq", ref("status"), val("open")), func("not", func("in", ref("score"), val([1, 2, 3])))),
  },
  {
    t: "sub",
    subId: "s5",
    collection: "tasks",
    orderBy: [{ expression: ref("score"), compareOptions: { direction: "desc", nulls: "last" } }],
    limit: 5,
    offset: 2,
  },
  { t: "unsub", subId: "s1" },
  {
    t: "mut",
    txId: "fuzz-1",
    collection: "notes",
    ops: row({ id: "fuzz", body: "text", rank: 2.5, num: -1, data: new Uint8Array([0, 255]) }),
  },
  {
    t: "mut",
    txId: "fuzz-2",
    collection: "notes",
    ops: row({ body: null, rank: true, num: 2 ** 40, data: new Date(1700000000000) }),
  },
  {
    t: "mut",
    txId: "fuzz-3",
    collection: "tasks",
    ops: [
      { type: "update", key: "fuzz", cols: { score: 5 } },
      { type: "delete", key: "fuzz", cols: null },
    ],
  },
  { t: "call", txId: "fuzz-4", name: "touch", args: { n: 1 } },
  {
    t: "fetch",
    fetchId: "f1",
    collection: "tasks",
    where: func("like", ref("title"), val("a%")),
    limit: 10,
    cursor: { whereFrom: func("lt", ref("score"), val(5)), whereCurrent: func("eq", ref("score"), val(5)) },
  },
].map((frame) => Buffer.from(encode(frame)));

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
  (bytes, random) => ((bytes[random.below(bytes.length)] ^= 1 << random.below(8)), bytes),
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

/** One of `from`, changed once or a few times, and now and then joined with another. */
export function mutated(random, from = seeds) {
  let bytes = Buffer.from(random.pick(from));
  if (random.below(10) === 0) {
    const other = random.pick(from);
    bytes = Buffer.concat([bytes.subarray(0, random.below(bytes.length)), other.subarray(random.below(other.length))]);
  }
  for (let n = random.pick([1, 1, 1, 2, 3]); n > 0 && bytes.length > 0; n--)
    bytes = random.pick(changes)(bytes, random);
  return bytes;
}
