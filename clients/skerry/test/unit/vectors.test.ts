/** The golden frames of proto/vectors, which every client is tested with. Their README says how they are written. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { decodeFrame, encodeFrame, type ClientFrame } from '#skerry/frame'

interface Vector {
  name: string
  bytes: string
  frame: Record<string, unknown>
  shortest?: boolean
}

function load(file: string): Vector[] {
  const vectors = JSON.parse(readFileSync(new URL(`../../../../../proto/vectors/${file}`, import.meta.url), 'utf8'))
  assert.ok(vectors.length > 0, `${file} holds no vectors`)
  return vectors
}

/** Bytes as hexadecimal digits with spaces anywhere; `ff*300` is 300 times ff. */
function bytesOf(hex: string): Uint8Array {
  const runs = hex.replace(/([0-9a-f]{2})\*([0-9]+)/g, (_, byte: string, count: string) => byte.repeat(Number(count)))
  return Uint8Array.from(Buffer.from(runs.replaceAll(' ', ''), 'hex'))
}

/** Values that JSON has no words for, as this client sees them. */
const marks: Record<string, (content: any) => unknown> = {
  $bin: (hex: string) => bytesOf(hex),
  $time: (ms: number) => new Date(ms),
  $real: (value: number | string) => Number(value),
  $int: (digits: string) => Number(digits),
  $repeat: ([text, count]: [string, number]) => text.repeat(count),
}

function valueOf(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(valueOf)
  if (typeof json !== 'object' || json === null) return json
  const entries = Object.entries(json)
  const [name, content] = entries[0] ?? []
  if (name?.startsWith('$')) {
    assert.ok(marks[name], `a mark that this test does not know: ${name}`)
    return marks[name](content)
  }
  return Object.fromEntries(entries.map(([key, value]) => [key, valueOf(value)]))
}

/** A field that is nil is the same as one that is absent, except a result. */
function withoutNil(frame: object): object {
  return Object.fromEntries(Object.entries(frame).filter(([name, value]) => value !== null || name === 'result'))
}

for (const { name, bytes, frame } of load('server.json')) {
  test(`from the server: ${name}`, () => {
    const expected = frame['t'] === 'page' ? undefined : withoutNil(valueOf(frame) as object)
    assert.deepEqual(decodeFrame(bytesOf(bytes)), expected)
  })
}

/**
 * Whether this client would write the frame with these bytes. It chooses the shortest forms; its numbers do not remember
 * whether they were integers, and beyond 32 bits it writes all of them as reals, as the contract asks.
 */
function isOwnForm({ frame, shortest }: Vector): boolean {
  const json = JSON.stringify(frame)
  const integers = json.match(/(?<=[:[,])(?<!"\$time":)-?[0-9]+(?=[,}\]])/g) ?? []
  const isBig = (digits: string) => Number(digits) > 0xffffffff || Number(digits) < -0x80000000
  return shortest === true && !/"\$(real|int)"/.test(json) && !integers.some(isBig)
}

for (const vector of load('client.json').filter(isOwnForm)) {
  test(`to the server: ${vector.name}`, () => {
    const bytes = encodeFrame(valueOf(vector.frame) as ClientFrame)
    assert.equal(Buffer.from(bytes).toString('hex'), Buffer.from(bytesOf(vector.bytes)).toString('hex'))
  })
}
