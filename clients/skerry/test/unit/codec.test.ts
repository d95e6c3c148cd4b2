/** Frames and bytes, byte for byte where WIRE.md, "Encoding", says how. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decode, encode } from '@msgpack/msgpack'
import { decodeFrame, encodeFrame } from '#skerry/frame'
import { isSeq, laterSeq } from '#skerry/seq'
import { uuid } from '#skerry/uuid'

/** The bytes of one value, cut out of a frame that carries it. */
function encoded(value: unknown): string {
  const frame = encodeFrame({ t: 'call', txId: 'x', name: 'n', args: { v: value } })
  const bytes = Buffer.from(frame)
  return bytes.subarray(bytes.lastIndexOf('v') + 1).toString('hex')
}

const values: [unknown, string][] = [
  [0, '00'],
  [127, '7f'],
  [128, 'cc80'],
  [255, 'ccff'],
  [256, 'cd0100'],
  [65535, 'cdffff'],
  [65536, 'ce00010000'],
  [2 ** 32 - 1, 'ceffffffff'],
  [-1, 'ff'],
  [-32, 'e0'],
  [-33, 'd0df'],
  [-128, 'd080'],
  [-129, 'd1ff7f'],
  [-32769, 'd2ffff7fff'],
  [-(2 ** 31), 'd280000000'],
  [2 ** 32, 'cb41f0000000000000'],
  [-(2 ** 31) - 1, 'cbc1e0000000200000'],
  [2 ** 53, 'cb4340000000000000'],
  [1.5, 'cb3ff8000000000000'],
  [0.1, 'cb3fb999999999999a'],
  [Infinity, 'cb7ff0000000000000'],
  [null, 'c0'],
  [true, 'c3'],
  [false, 'c2'],
  ['é', 'a2c3a9'],
  [Uint8Array.of(1, 2), 'c4020102'],
  [new Date(1000), 'd6ff00000001'],
  [7n, 'cf0000000000000007'],
  [-7n, 'd3fffffffffffffff9'],
]
for (const [value, hex] of values) {
  test(`${typeof value} ${String(value)} is ${hex}`, () => assert.equal(encoded(value), hex))
}

test('absent fields are left out, also in columns', () => {
  assert.deepEqual(decode(encodeFrame({ t: 'sub', subId: 's1', collection: 'c', since: undefined })), {
    t: 'sub',
    subId: 's1',
    collection: 'c',
  })
})

test('what the server sends as 64 bits is a number, a blob is bytes', () => {
  const row = { big: 5_000_000_000n, small: -5_000_000_000n, blob: Uint8Array.of(7) }
  const bytes = encode({ t: 'snap', sub: 's', key: 'k', row, seq: '1' }, { useBigInt64: true })
  const frame = decodeFrame(bytes)
  assert.ok(frame?.t === 'snap')
  assert.deepEqual(frame.row, { big: 5_000_000_000, small: -5_000_000_000, blob: Uint8Array.of(7) })
})

test('nil fields are absent, but a result of nil is a result', () => {
  assert.deepEqual(decodeFrame(encode({ t: 'uptodate', seq: '1', sub: null })), { t: 'uptodate', seq: '1' })
  assert.deepEqual(decodeFrame(encode({ t: 'committed', txId: 'x', seq: '1', result: null })), {
    t: 'committed',
    txId: 'x',
    seq: '1',
    result: null,
  })
})

test('unknown kinds are no frames for this client, whatever they are called', () => {
  for (const t of ['welcome', 'page', 'constructor', 'toString', '', 7, null, undefined]) {
    assert.equal(decodeFrame(encode({ t, seq: '1' })), undefined)
  }
})

test('seqs are compared as positions, beyond 2^53 too', () => {
  assert.equal(laterSeq(undefined, '0'), '0')
  assert.equal(laterSeq('9', '10'), '10')
  assert.equal(laterSeq('10', '9'), '10')
  assert.equal(laterSeq('9007199254740993', '9007199254740992'), '9007199254740993')
  assert.equal(laterSeq('99999999999999999999', '100000000000000000000'), '100000000000000000000')
  for (const seq of ['', '01', '-1', '1.0', '1e3', ' 1', 1, null]) assert.ok(!isSeq(seq))
  for (const seq of ['0', '7', '18446744073709551615']) assert.ok(isSeq(seq))
})

test('a page without crypto.randomUUID makes UUIDs too', t => {
  const crypto = Object.getOwnPropertyDescriptor(globalThis, 'crypto') ?? { configurable: true, value: undefined }
  t.after(() => Object.defineProperty(globalThis, 'crypto', crypto))
  const getRandomValues = (bytes: Uint8Array) => bytes.fill(0xff)
  Object.defineProperty(globalThis, 'crypto', { configurable: true, value: { getRandomValues } })
  assert.equal(uuid(), 'ffffffff-ffff-4fff-bfff-ffffffffffff')
})
