/**
 * check - what an application passes in, refused where a server would drop it without an answer.
 */
import { SkerryError } from './error.js'
import type { Op } from './frame.js'

const NAME_BYTES_MAX = 128
const utf8 = new TextEncoder()

/** A name or id as it may travel: 1 to 128 bytes of text. */
export function checkName(what: string, value: unknown): string {
  if (typeof value === 'string') {
    const { length } = utf8.encode(value)
    if (length >= 1 && length <= NAME_BYTES_MAX) return value
  }
  throw new SkerryError('INVALID', `${what} must be a string of 1 to ${NAME_BYTES_MAX} bytes, not ${show(value)}`)
}

/** The operations of a `mutate`, copied. */
export function checkOps(ops: readonly Op[]): Op[] {
  if (!Array.isArray(ops) || ops.length === 0) throw new SkerryError('INVALID', 'ops must be a non-empty array')
  return ops.map(checkOp)
}

function checkOp(op: Op, index: number): Op {
  const fail = (what: string) => new SkerryError('INVALID', `ops[${index}]${what}`)
  if (typeof op?.key !== 'string') throw fail(`.key must be a string, not ${show(op?.key)}`)
  if (op.type === 'delete') return { type: op.type, key: op.key }
  if (op.type !== 'insert' && op.type !== 'update') throw fail(`.type must be insert, update or delete`)
  if (typeof op.cols !== 'object' || op.cols === null) throw fail(`.cols must be an object, not ${show(op.cols)}`)
  return { type: op.type, key: op.key, cols: { ...op.cols } }
}

/** A path segment of an address. `.` and `..` have no form there that an address parser would leave alone. */
export function checkSegment(what: string, value: unknown): string {
  if (typeof value === 'string' && value !== '' && value !== '.' && value !== '..') {
    try {
      return encodeURIComponent(value)
    } catch {
      // half a surrogate pair: falls through
    }
  }
  throw new SkerryError('INVALID', `${what} must be a non-empty string, not ${show(value)}`)
}

/** The server's origin, as a WebSocket's: from `url`, or of the page. */
export function checkOrigin(url: string | undefined): string {
  const given = url ?? (globalThis as { location?: { origin: string } }).location?.origin
  if (given === undefined) throw new SkerryError('INVALID', 'url is needed outside of a browser')
  let parsed
  try {
    parsed = new URL(given)
  } catch {
    throw new SkerryError('INVALID', `url is not an address: ${show(given)}`)
  }
  const scheme = { 'http:': 'ws:', 'https:': 'wss:', 'ws:': 'ws:', 'wss:': 'wss:' }[parsed.protocol]
  if (scheme === undefined) throw new SkerryError('INVALID', `url must be http, https, ws or wss, not ${show(given)}`)
  return `${scheme}//${parsed.host}`
}

function show(value: unknown): string {
  return typeof value === 'string' ? `'${value.slice(0, 80)}'` : String(value)
}
