/**
 * scope - one scope as its client sees it: a connection, its subscriptions, its unanswered transactions.
 *
 * The contract's cursor lives in the subscriptions: a boundary moves each that is live, and leaves one that is still
 * catching up where it was. So however a resume is torn apart, nobody resumes past what it misses.
 */
import { SkerryError, guarded } from './error.js'
import { checkName, checkOps } from './check.js'
import { decodeFrame, encodeFrame, type ClientFrame, type Hello, type Op, type Row, type ServerFrame } from './frame.js'
import { Link, type LinkOptions } from './link.js'
import { Listeners } from './listeners.js'
import { Outbox, type Transaction } from './outbox.js'
import { SubscriptionState, type Batch, type SubscriptionHandlers } from './subscription.js'
import { uuid } from '#uuid'

/**
 * `connecting`: the first attempt is under way. `online`. `offline`: there is no connection, and it is being tried
 * again. `closed`: by `close()`, or by the server for good (`closeReason`).
 */
export type Status = 'connecting' | 'online' | 'offline' | 'closed'

/** A live subscription. */
export interface Subscription {
  /** Ends it. No handler is called any more. */
  close(): void
}

export interface TransactionOptions {
  /**
   * The transaction's id, 1 to 128 bytes; a UUID by default. Give one to be able to repeat a transaction later, say
   * after a page was closed before the answer came: it is not done again, and the answer is the same.
   */
  txId?: string
}

/** How long a `reset` may go without a snapshot until the subscription is asked for anew. */
const RESET_PATIENCE_MS = 5_000

export class Scope {
  readonly #link: Link
  readonly #outbox: Outbox
  readonly #subscriptions = new Map<string, SubscriptionState>()
  readonly #onStatus = new Listeners<Status>()
  #status: Status = 'connecting'
  #subscriptionCount = 0
  #resetTimer: ReturnType<typeof setTimeout> | undefined
  #closeReason: SkerryError | undefined
  #lastError: SkerryError | undefined
  #hello: Hello | undefined

  /** @internal Use `connect`. */
  constructor(link: LinkOptions, frameBytesMax: number) {
    this.#link = new Link(link, {
      onUp: () => this.#onUp(),
      onMessage: bytes => this.#onMessage(bytes),
      onDown: error => this.#onDown(error, 'offline'),
      onFinal: error => this.#onFinal(error),
    })
    const send = (bytes: Uint8Array) => {
      if (this.#link.isUp) this.#link.send(bytes)
    }
    this.#outbox = new Outbox({ send, frameBytesMax, maxDelayMs: link.maxDelayMs })
    this.#link.start()
  }

  get status(): Status {
    return this.#status
  }

  /** Why the server closed the scope for good (close codes 4000 to 4999); undefined otherwise. */
  get closeReason(): SkerryError | undefined {
    return this.#closeReason
  }

  /** Why the connection was last lost or could not be made; undefined while there is one. */
  get lastError(): SkerryError | undefined {
    return this.#lastError
  }

  /** How many transactions the server has not answered yet. */
  get pending(): number {
    return this.#outbox.count
  }

  /**
   * Why transactions wait although there is a connection: the server cannot decide them now (`STORAGE_FULL`,
   * `OVERLOADED`, `QUOTA`, `UNAVAILABLE`), and keeps nothing of them. They are kept here, in their order, and tried again
   * by themselves. Undefined when none waits.
   */
  get waiting(): SkerryError | undefined {
    return this.#outbox.waiting
  }

  /**
   * What the server said when this connection began: its version and limits, the scope's types and position. Undefined
   * until it has, and with a server that speaks the base contract only.
   */
  get hello(): Hello | undefined {
    return this.#hello
  }

  /** Calls `fn` with the status each time it changes; the result ends that. */
  onStatus(fn: (status: Status) => void): () => void {
    return this.#onStatus.add(fn)
  }

  /** Calls `fn` with `pending` each time it changes; the result ends that. */
  onPending(fn: (pending: number) => void): () => void {
    return this.#outbox.onCount.add(fn)
  }

  /** Calls `fn` with `waiting` each time the reason changes, `undefined` when it goes; the result ends that. */
  onWaiting(fn: (why: SkerryError | undefined) => void): () => void {
    return this.#outbox.onWaiting.add(fn)
  }

  /**
   * Follows a whole collection: first all its rows as one `snapshot` batch, then each change as the server decides it.
   * Throws a SkerryError (`INVALID`) for a name that cannot be one, or `CLOSED` after `close()`.
   */
  subscribe<R extends object = Row>(collection: string, handlers: SubscriptionHandlers<R>): Subscription {
    checkName('the collection', collection)
    if (this.#isEnded) throw closedError()
    const id = `s${++this.#subscriptionCount}`
    const subscription = new SubscriptionState(id, collection, handlers)
    this.#subscriptions.set(id, subscription)
    if (this.#link.isUp) this.#ask(subscription)
    return { close: () => this.#unsubscribe(id) }
  }

  /**
   * Sends operations on one collection as one transaction: all of them happen, or none. It is kept, and sent again
   * after a disconnection, until the server answers. Values are copied at once. At most 128 operations, by default.
   */
  mutate(collection: string, ops: readonly Op[], options: TransactionOptions = {}): Transaction {
    return this.#submit(options, txId => {
      return { t: 'mut', txId, collection: checkName('the collection', collection), ops: checkOps(ops) }
    })
  }

  /** Runs one of the app's commands, as one transaction like `mutate`; `confirmed` has its result. */
  call(name: string, args: object | null = null, options: TransactionOptions = {}): Transaction {
    return this.#submit(options, txId => ({
      t: 'call',
      txId,
      name: checkName('the command', name),
      args: args && { ...args },
    }))
  }

  /**
   * Connects again after the server has closed for good, with a fresh token and everything as it was: subscriptions,
   * and transactions that were not answered. For the same user only: as another's, a transaction could be done twice.
   * For another user `close()`, and `connect` anew. In every other state this does nothing.
   */
  reconnect(): void {
    if (this.#closeReason === undefined) return
    this.#closeReason = undefined
    this.#setStatus('connecting')
    this.#link.start()
  }

  /** Closes for good. What was not answered is rejected with code `CLOSED`: whether it happened is not known. */
  close(): void {
    if (this.#isEnded) return
    this.#link.stop()
    this.#closeReason = undefined
    this.#onDown(undefined, 'closed')
    this.#outbox.rejectAll(closedError())
    this.#callSubscriptions(subscription => subscription.handlers.onError?.(closedError()))
    this.#subscriptions.clear()
  }

  /** Closed by the application, as opposed to by the server. */
  get #isEnded(): boolean {
    return this.#status === 'closed' && this.#closeReason === undefined
  }

  #submit(
    options: TransactionOptions,
    makeFrame: (txId: string) => Extract<ClientFrame, { txId: string }>,
  ): Transaction {
    const txId = options.txId ?? uuid()
    const checkedFrame = () => {
      if (this.#isEnded) throw closedError()
      return makeFrame(checkName('txId', txId))
    }
    return this.#outbox.add(txId, checkedFrame)
  }

  #unsubscribe(id: string): void {
    if (this.#subscriptions.delete(id) && this.#link.isUp) this.#send({ t: 'unsub', subId: id })
  }

  /** Asks for a subscription: from its position if it has one, else whole. */
  #ask(subscription: SubscriptionState): void {
    this.#send({ t: 'sub', subId: subscription.id, collection: subscription.collection, since: subscription.position })
    subscription.asked()
  }

  #send(frame: ClientFrame): void {
    this.#link.send(encodeFrame(frame))
  }

  /** All `sub`s first, so that the server can resume them as one; then the transactions, in their order. */
  #onUp(): void {
    for (const subscription of this.#subscriptions.values()) this.#ask(subscription)
    this.#outbox.sendAll()
    this.#lastError = undefined
    this.#setStatus('online')
  }

  #onDown(error: SkerryError | undefined, status: Status): void {
    clearTimeout(this.#resetTimer)
    for (const subscription of this.#subscriptions.values()) subscription.dropped()
    this.#outbox.stopWaiting()
    this.#hello = undefined
    this.#lastError = error
    this.#setStatus(status)
  }

  #onFinal(error: SkerryError): void {
    this.#closeReason = error
    this.#onDown(error, 'closed')
    this.#callSubscriptions(subscription => subscription.handlers.onError?.(error))
  }

  #setStatus(status: Status): void {
    if (this.#status === status) return
    this.#status = status
    this.#onStatus.call(status)
  }

  #onMessage(bytes: Uint8Array): void {
    let frame
    try {
      frame = decodeFrame(bytes)
    } catch (cause) {
      // To skip it could leave a gap that nobody notices; what the server says from the cursor on leaves none.
      const what = (cause as Error).message
      this.#link.fail(new SkerryError('PROTOCOL', `the server sent what is no frame: ${what}`, { cause }))
      return
    }
    if (frame) this.#onFrame(frame)
  }

  #onFrame(frame: ServerFrame): void {
    switch (frame.t) {
      case 'hello': {
        const { t, ...hello } = frame
        this.#hello = hello
        return
      }
      case 'gone':
        return this.#link.expectBack(frame.retryMs)
      case 'snap':
        return this.#subscriptions.get(frame.sub)?.snap(frame.key, frame.row)
      case 'd':
        return this.#subscriptions.get(frame.sub)?.delta(frame.key, frame.op === 'delete' ? undefined : frame.cols)
      case 'snap-end':
        return this.#onSnapEnd(frame.sub, frame.seq)
      case 'uptodate':
        return this.#onUpToDate(frame.seq, frame.sub)
      case 'committed':
        this.#commit(frame.seq)
        return this.#outbox.resolve(frame.txId, { seq: frame.seq, result: frame.result ?? null })
      case 'rejected':
        if (frame.retryMs === undefined) return this.#outbox.reject(frame.txId, rejection(frame.error))
        return this.#outbox.putOff(frame.txId, rejection(frame.error), frame.retryMs)
      case 'reset':
        return this.#onReset(frame.sub)
    }
  }

  #onSnapEnd(id: string, seq: string): void {
    const subscription = this.#subscriptions.get(id)
    if (!subscription) return
    const rows = subscription.snapEnd()
    this.#commit(seq, { snapshot: [subscription, rows] })
    this.#ready(subscription)
  }

  /** Unlike other boundaries it may take a position back: too early a one costs a few rows, too late a one a gap. */
  #onUpToDate(seq: string, id: string | undefined): void {
    const subscription = id === undefined ? undefined : this.#subscriptions.get(id)
    const hasCaughtUp = subscription?.caughtUp()
    this.#commit(seq, { mayGoBack: true })
    if (hasCaughtUp) this.#ready(subscription!)
  }

  /** A boundary: positions move, and what the subscriptions have gathered becomes visible. */
  #commit(seq: string, options: { snapshot?: [SubscriptionState, Batch]; mayGoBack?: boolean } = {}): void {
    const { snapshot, mayGoBack = false } = options
    const batches = snapshot ? [snapshot] : []
    for (const subscription of this.#subscriptions.values()) {
      const batch = subscription.take()
      if (batch) batches.push([subscription, batch])
      subscription.advance(seq, mayGoBack)
    }
    for (const [subscription, batch] of batches) {
      if (this.#isCurrent(subscription)) guarded(() => subscription.handlers.onBatch(batch))
    }
  }

  #ready(subscription: SubscriptionState): void {
    if (this.#isCurrent(subscription)) guarded(() => subscription.handlers.onReady?.())
  }

  /**
   * For one subscription or for all. After its first snapshot, a `reset` is either the beginning of a new snapshot or a
   * refusal, and the base contract does not say which: if nothing follows, a new `sub` brings out the answer.
   */
  #onReset(id: string | undefined): void {
    this.#callSubscriptions(subscription => {
      if (id !== undefined && id !== subscription.id) return
      if (!subscription.reset(id === undefined)) return
      if (subscription.isRefused) subscription.handlers.onError?.(refusal(subscription.collection))
      else subscription.handlers.onReset?.()
    })
    clearTimeout(this.#resetTimer)
    this.#resetTimer = setTimeout(() => this.#askWaiting(), RESET_PATIENCE_MS)
  }

  #askWaiting(): void {
    for (const subscription of this.#subscriptions.values()) {
      if (subscription.isWaiting) this.#ask(subscription)
    }
  }

  #callSubscriptions(call: (subscription: SubscriptionState) => void): void {
    for (const subscription of [...this.#subscriptions.values()]) {
      if (this.#isCurrent(subscription)) guarded(() => call(subscription))
    }
  }

  #isCurrent(subscription: SubscriptionState): boolean {
    return this.#subscriptions.has(subscription.id)
  }
}

function rejection(error: { code?: unknown; message?: unknown }): SkerryError {
  const code = typeof error.code === 'string' ? error.code : 'REJECTED'
  const message = typeof error.message === 'string' ? error.message : 'the server rejected the transaction'
  return new SkerryError(code, message)
}

function refusal(collection: string): SkerryError {
  const why = 'there is no such collection, or not for this user'
  return new SkerryError('REFUSED', `the server does not serve '${collection}' here: ${why}`)
}

function closedError(): SkerryError {
  return new SkerryError('CLOSED', 'the scope is closed')
}
