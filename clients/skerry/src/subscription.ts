/**
 * subscription - what one `sub` holds, and how its frames become batches.
 *
 * It buffers; its scope says when a boundary has come, and delivers. The rows themselves live with the application: it
 * keeps what the batches gave it, through disconnections and resets, until a `snapshot` batch replaces them.
 */
import { SkerryError } from './error.js'
import type { Row } from './frame.js'
import { laterSeq } from './seq.js'

/** One change of a batch. An `upsert` carries the whole row, as the server has it. */
export type Change<R extends object = Row> = { type: 'upsert'; key: string; row: R } | { type: 'delete'; key: string }

/**
 * Changes that belong together: apply them as one. With `snapshot`, they are all rows there are, every one an `upsert`,
 * and replace whatever was held before. A `delete` may name a key that was never held.
 */
export interface Batch<R extends object = Row> extends ReadonlyArray<Change<R>> {
  readonly snapshot: boolean
}

export interface SubscriptionHandlers<R extends object = Row> {
  /** Apply these changes, as one. */
  onBatch(batch: Batch<R>): void
  /** The rows held may be outdated; a `snapshot` batch is to follow. Keep showing them until then. */
  onReset?(): void
  /** The rows held are complete and from now on live. Called again after each reconnection and each reset. */
  onReady?(): void
  /**
   * Nothing comes any more: the server does not serve this subscription (code `REFUSED`; it is asked again at the next
   * connection), or the scope is closed (its `closeReason`, or code `CLOSED`).
   */
  onError?(error: SkerryError): void
}

/**
 * `idle`: not asked for on this socket. `first`: asked for whole, no `snap-end` yet. `resuming`: asked for since the
 * cursor. `live`. `reloading`: reset, so a snapshot follows, or nothing if the server has refused. `refused`.
 */
type State = 'idle' | 'first' | 'resuming' | 'live' | 'reloading' | 'refused'
type Event = 'askWhole' | 'askSince' | 'drop' | 'snap' | 'snapEnd' | 'caughtUp' | 'reset' | 'resetAll'

/** Where each event leads; an event that is not in a state's row changes nothing. */
const always = { askWhole: 'first', askSince: 'resuming', drop: 'idle', snapEnd: 'live' } as const
const next: Record<State, Partial<Record<Event, State>>> = {
  idle: { askWhole: 'first', askSince: 'resuming' },
  first: { ...always, reset: 'refused', resetAll: 'reloading' },
  resuming: { ...always, snap: 'reloading', caughtUp: 'live', reset: 'reloading', resetAll: 'reloading' },
  live: { ...always, snap: 'reloading', reset: 'reloading', resetAll: 'reloading' },
  reloading: { ...always, reset: 'reloading', resetAll: 'reloading' },
  refused: { ...always, snap: 'first' },
}

export class SubscriptionState {
  readonly id: string
  readonly collection: string
  readonly handlers: SubscriptionHandlers<any>
  #state: State = 'idle'
  #position: string | undefined
  #snapshot = new Map<string, Row>()
  #changes: Change[] = []

  constructor(id: string, collection: string, handlers: SubscriptionHandlers<any>) {
    this.id = id
    this.collection = collection
    this.handlers = handlers
  }

  /** Up to where in the log the application has been given everything, so that a resume may start there. */
  get position(): string | undefined {
    return this.#position
  }

  /** Whether a `reset` came, and nothing of a snapshot since. */
  get isWaiting(): boolean {
    return this.#state === 'reloading' && this.#snapshot.size === 0
  }

  get isRefused(): boolean {
    return this.#state === 'refused'
  }

  /** Its `sub` has gone out, with its position as `since` if it has one. */
  asked(): void {
    this.#move(this.#position === undefined ? 'askWhole' : 'askSince')
  }

  /** The socket is gone, and with it what was not committed by a boundary. */
  dropped(): void {
    this.#move('drop')
  }

  snap(key: string, row: Row): void {
    this.#move('snap')
    if (this.#isSnapshotting) this.#snapshot.set(key, row)
  }

  /** A delta: `row` is the current row, `undefined` if it is gone. */
  delta(key: string, row: Row | undefined): void {
    if (this.#isSnapshotting) {
      if (row) this.#snapshot.set(key, row)
      else this.#snapshot.delete(key)
    } else if (this.#state === 'live' || this.#state === 'resuming') {
      this.#changes.push(row ? { type: 'upsert', key, row } : { type: 'delete', key })
    }
  }

  /** Ends the snapshot, and returns it. */
  snapEnd(): Batch {
    const rows = Array.from(this.#snapshot, ([key, row]): Change => ({ type: 'upsert', key, row }))
    this.#move('snapEnd')
    return Object.assign(rows, { snapshot: true })
  }

  /** Takes the deltas that came since the last boundary, if there were any. */
  take(): Batch | undefined {
    if (this.#changes.length === 0) return undefined
    const changes = this.#changes
    this.#changes = []
    return Object.assign(changes, { snapshot: false })
  }

  /** Ends the catch-up of a resume; whether there was one. */
  caughtUp(): boolean {
    return this.#move('caughtUp')
  }

  /** A boundary at `seq` came. It says nothing of a subscription that is not live: its catch-up has its own end. */
  advance(seq: string, mayGoBack: boolean): void {
    if (this.#state === 'live') this.#position = mayGoBack ? seq : laterSeq(this.#position, seq)
  }

  /**
   * A `reset` came, for this subscription or for all; whether that changed anything. Before the first `snap-end` one
   * for this subscription is a refusal. Later ones can be either: rows stay shown, and nothing relies on them any more.
   */
  reset(forAll: boolean): boolean {
    return this.#move(forAll ? 'resetAll' : 'reset')
  }

  get #isSnapshotting(): boolean {
    return this.#state === 'first' || this.#state === 'reloading'
  }

  #move(event: Event): boolean {
    const state = next[this.#state][event]
    if (state === undefined) return false
    this.#state = state
    if (state === 'reloading' || state === 'refused') this.#position = undefined
    if (event !== 'caughtUp') {
      this.#snapshot = new Map()
      this.#changes = []
    }
    return true
  }
}
