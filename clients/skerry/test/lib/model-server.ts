/**
 * The base contract for one scope, in memory and in order: log, floor, receipts, snapshots, catch-ups, one boundary for
 * a whole resume. It decides a frame as soon as it gets it; what it says lies in `session.out` until it is delivered.
 */
import { decode, encode } from '@msgpack/msgpack'
import type { Frame } from './mock-server.js'

interface Change {
  seq: number
  collection: string
  key: string
}

export class Session {
  readonly out: Uint8Array[] = []
  readonly subs = new Map<string, string>()
  isResuming = true
  /** The lowest `since` of the resume: what its boundaries carry. */
  since: number | undefined

  say(frame: Frame): void {
    this.out.push(encode(frame))
  }

  boundary(head: number): string {
    return String(this.isResuming && this.since !== undefined ? this.since : head)
  }
}

export class ModelServer {
  /** Transactions in the order in which they were decided, and what they were. */
  readonly decided: string[] = []
  /** How often a transaction came that was decided before. */
  repeated = 0
  readonly sessions = new Set<Session>()
  readonly #rows = new Map<string, Map<string, object>>()
  readonly #receipts = new Map<string, Frame>()
  readonly #log: Change[] = []
  #head = 0
  #floor = 0

  rows(collection: string): Map<string, object> {
    if (!this.#rows.has(collection)) this.#rows.set(collection, new Map())
    return this.#rows.get(collection)!
  }

  connect(): Session {
    const session = new Session()
    this.sessions.add(session)
    return session
  }

  receive(session: Session, bytes: Uint8Array): void {
    const frame = decode(bytes) as Frame
    if (frame['t'] === 'sub') return this.#subscribe(session, frame)
    this.endResume(session)
    if (frame['t'] === 'unsub') session.subs.delete(frame['subId'])
    if (frame['t'] === 'mut') this.#mutate(session, frame)
  }

  /** A resume is over: one boundary moves the cursor for all of it. */
  endResume(session: Session): void {
    if (session.isResuming && session.since !== undefined) session.say({ t: 'uptodate', seq: String(this.#head) })
    session.isResuming = false
  }

  /** Somebody else's write. */
  write(collection: string, key: string, row: object | undefined): void {
    if (!this.#change(collection, key, row)) return
    for (const session of this.sessions) this.#publish(session, [this.#log.at(-1)!])
  }

  /** Forgets the log, so that nobody can resume, and gives everybody everything anew. */
  reload(): void {
    this.#floor = ++this.#head
    for (const session of this.sessions) {
      this.endResume(session)
      for (const id of session.subs.keys()) {
        session.say({ t: 'reset', sub: id })
        this.#snapshot(session, id)
      }
    }
  }

  #change(collection: string, key: string, row: object | undefined): boolean {
    const rows = this.rows(collection)
    if (!row && !rows.has(key)) return false
    if (row) rows.set(key, row)
    else rows.delete(key)
    this.#log.push({ seq: ++this.#head, collection, key })
    return true
  }

  #mutate(session: Session, { txId, collection, ops }: Frame): void {
    let receipt = this.#receipts.get(txId)
    if (receipt) {
      this.repeated++
    } else {
      this.decided.push(txId)
      const from = this.#log.length
      receipt = this.#decide(txId, collection, ops)
      this.#receipts.set(txId, receipt)
      for (const other of this.sessions) this.#publish(other, this.#log.slice(from))
    }
    session.say(receipt)
  }

  #decide(txId: string, collection: string, ops: Frame[]): Frame {
    if (ops.some(op => op['cols']?.text === 'forbidden')) {
      this.#head++
      return { t: 'rejected', txId, error: { code: 'FORBIDDEN', message: 'no' } }
    }
    for (const { type, key, cols } of ops) {
      const row = this.rows(collection).get(key)
      if (type === 'delete') this.#change(collection, key, undefined)
      else if (type === 'insert' || row) this.#change(collection, key, { id: key, ...row, ...cols })
    }
    if (ops.length === 0) this.#head++
    return { t: 'committed', txId, seq: String(this.#head) }
  }

  #publish(session: Session, changes: Change[]): void {
    let hasAny = false
    for (const change of changes) {
      for (const [id, collection] of session.subs) {
        if (collection !== change.collection) continue
        this.#delta(session, id, change)
        hasAny = true
      }
    }
    if (hasAny) session.say({ t: 'uptodate', seq: session.boundary(this.#head) })
  }

  #delta(session: Session, sub: string, { collection, key, seq }: Change): void {
    const cols = this.rows(collection).get(key)
    session.say({ t: 'd', sub, key, op: cols ? 'update' : 'delete', cols, seq: String(seq) })
  }

  #subscribe(session: Session, { subId, collection, since }: Frame): void {
    session.subs.set(subId, collection)
    if (since === undefined) return this.#snapshot(session, subId)
    const from = Number(since)
    session.since = Math.min(session.since ?? from, from)
    if (from < this.#floor || from > this.#head) {
      session.say({ t: 'reset', sub: subId })
      return this.#snapshot(session, subId)
    }
    const missed = this.#log.filter(change => change.collection === collection && change.seq > from)
    for (const change of missed) this.#delta(session, subId, change)
    session.say({ t: 'uptodate', seq: session.boundary(this.#head), sub: subId })
  }

  #snapshot(session: Session, sub: string): void {
    const seq = String(this.#head)
    for (const [key, row] of this.rows(session.subs.get(sub)!)) session.say({ t: 'snap', sub, key, row, seq })
    session.say({ t: 'snap-end', sub, seq: session.boundary(this.#head) })
  }
}
