/**
 * frame - the contract's frames, as far as this client has a use for them, between objects and MessagePack (proto/wire.md).
 *
 * Pure: no socket, no state. What a server sends is checked here once, so that nobody after this file meets a frame
 * without its fields.
 */
import { Decoder, Encoder } from '@msgpack/msgpack'
import { isSeq } from './seq.js'

/** A value of a column or an argument. The server stores a boolean as 0 or 1 and a `Date` as milliseconds. */
export type Value = null | boolean | number | bigint | string | Uint8Array | Date

/** One change of a `mutate`. `key` is the row's key; `cols` are the columns to write, of an insert or an update. */
export type Op =
  | { type: 'insert'; key: string; cols: object }
  | { type: 'update'; key: string; cols: object }
  | { type: 'delete'; key: string }

export type ClientFrame =
  | { t: 'sub'; subId: string; collection: string; since?: string | undefined }
  | { t: 'unsub'; subId: string }
  | { t: 'mut'; txId: string; collection: string; ops: readonly Op[] }
  | { t: 'call'; txId: string; name: string; args: object | null }

export type Row = Record<string, unknown>

/** What the server says of itself and of the scope when a session of the extended contract begins. */
export interface Hello {
  /** The server's version. */
  server: string
  /** The server's name for this connection. */
  session: string
  /** The last position in the scope's log, and the oldest from which every collection can be resumed. */
  head: string
  floor: string
  /** The number of the scope's last migration. */
  schema: number
  /** By collection and column: `text`, `integer`, `real`, `blob`, `boolean` (as 0 or 1), `json` (as text) or `any`. */
  types: Record<string, Record<string, string>>
  /** Bytes of a frame, operations of a transaction, subscriptions, depth of a predicate; 0 frames a second: no limit. */
  limits: { frame: number; ops: number; subs: number; depth: number; frames_per_second: number }
  /** For how many seconds at least a transaction may be repeated under its id. */
  receipts: number
}

export type ServerFrame =
  | ({ t: 'hello' } & Hello)
  | { t: 'gone'; code: string; message: string; retryMs: number }
  | { t: 'snap'; sub: string; key: string; row: Row; seq: string }
  | { t: 'snap-end'; sub: string; seq: string }
  | { t: 'd'; sub: string; key: string; op: 'insert' | 'update'; cols: Row; seq: string }
  | { t: 'd'; sub: string; key: string; op: 'delete'; seq: string }
  | { t: 'uptodate'; seq: string; sub?: string }
  | { t: 'committed'; txId: string; seq: string; result?: unknown }
  | { t: 'rejected'; txId: string; error: { code?: string; message: string }; seq?: string; retryMs?: number }
  | { t: 'reset'; sub?: string }

// `useBigInt64` makes the encoder write numbers beyond 32 bits as float64 (and only a BigInt as 64 bits), which is what
// the contract asks for. The decoder goes without it: 64-bit integers become numbers.
const encoder = new Encoder({ useBigInt64: true, ignoreUndefined: true })
const decoder = new Decoder()

/** Encodes a frame. Fields and columns that are `undefined` are left out. Throws for what MessagePack cannot say. */
export function encodeFrame(frame: ClientFrame): Uint8Array {
  return encoder.encode(wellFormed(frame))
}

const LONE_SURROGATE = /\p{Surrogate}/gu
const DEPTH_MAX = 64

/** Half a surrogate pair, say of a cut emoji, has no UTF-8, and a server drops such a frame without an answer. */
function wellFormed(value: unknown, depth = 0): unknown {
  if (depth > DEPTH_MAX) throw new RangeError(`nested deeper than ${DEPTH_MAX} levels`)
  if (typeof value === 'string') return value.replace(LONE_SURROGATE, '\ufffd')
  if (Array.isArray(value)) return value.map(item => wellFormed(item, depth + 1))
  if (!isMap(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [wellFormed(key), wellFormed(item, depth + 1)]))
}

/**
 * Decodes a frame; `undefined` for one of a kind that this client does not know. Throws if the bytes are no MessagePack
 * map, or if a known frame lacks a field.
 */
export function decodeFrame(bytes: Uint8Array): ServerFrame | undefined {
  const frame = decoder.decode(bytes)
  if (!isMap(frame)) throw new TypeError('a frame must be a map')
  for (const [name, value] of Object.entries(frame)) {
    if (value === null && name !== 'result') delete frame[name] // nil is the same as absent
  }
  const isValid = checks[frame['t'] as ServerFrame['t']]
  if (!isValid) return undefined
  if (!isValid(frame)) throw new TypeError(`a '${String(frame['t'])}' frame lacks a field, or one has the wrong type`)
  return frame as unknown as ServerFrame
}

const isText = (value: unknown) => typeof value === 'string'
const isNumber = (value: unknown) => typeof value === 'number'
const isAbsentOr = (check: (value: unknown) => boolean, value: unknown) => value === undefined || check(value)

/** A table without a prototype: a frame may be tagged `constructor`. */
const checks: { [kind in ServerFrame['t']]: (frame: Row) => boolean } = Object.assign(Object.create(null), {
  'hello': (f: Row) => isSeq(f['head']) && isSeq(f['floor']) && isMap(f['types']) && isMap(f['limits']),
  'gone': (f: Row) => isNumber(f['retryMs']),
  'snap': (f: Row) => isText(f['sub']) && isText(f['key']) && isMap(f['row']),
  'snap-end': (f: Row) => isText(f['sub']) && isSeq(f['seq']),
  'd': (f: Row) => isText(f['sub']) && isText(f['key']) && isDelta(f),
  'uptodate': (f: Row) => isSeq(f['seq']) && isAbsentOr(isText, f['sub']),
  'committed': (f: Row) => isText(f['txId']) && isSeq(f['seq']),
  'rejected': (f: Row) => isText(f['txId']) && isMap(f['error']) && isAbsentOr(isNumber, f['retryMs']),
  'reset': (f: Row) => isAbsentOr(isText, f['sub']),
})

function isDelta(frame: Row): boolean {
  return frame['op'] === 'delete' || ((frame['op'] === 'insert' || frame['op'] === 'update') && isMap(frame['cols']))
}

function isMap(value: unknown): value is Row {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
