/**
 * outbox - the transactions that the server has not answered, in the order in which they were made.
 *
 * Each is encoded once and kept as bytes, so that it is sent again unchanged. Its id makes the server do it once.
 *
 * A server that cannot decide (its disk is full, say) puts a transaction off. That one is tried again when the server
 * said, and alone; what is behind it stays here until it has an answer, so that their order holds.
 */
import { SkerryError } from './error.js'
import { encodeFrame, type ClientFrame } from './frame.js'
import { Listeners } from './listeners.js'

/** What a confirmed transaction returns: `seq` is its position in the scope's log, `result` a command's, or null. */
export interface Confirmation {
  seq: string
  result: unknown
}

/** A transaction on its way. */
export interface Transaction {
  /** Its id, a UUID unless you gave one. */
  txId: string
  /**
   * Resolves when the server has it for good and its changes have been given to this scope's subscriptions; rejects
   * with a SkerryError when the server refuses it. Neither happens while the connection is down. It may be ignored.
   */
  confirmed: Promise<Confirmation>
}

type TransactionFrame = Extract<ClientFrame, { txId: string }>

interface Entry {
  bytes: Uint8Array
  resolve: (confirmation: Confirmation) => void
  reject: (error: SkerryError) => void
}

/** However soon a server wants to see a transaction again. */
const RETRY_MS_MIN = 10

export interface OutboxOptions {
  /** Sends, if there is a connection. */
  send: (bytes: Uint8Array) => void
  frameBytesMax: number
  /** The longest time that a server can put a transaction off. */
  maxDelayMs: number
}

export class Outbox {
  readonly onCount = new Listeners<number>()
  readonly onWaiting = new Listeners<SkerryError | undefined>()
  readonly #entries = new Map<string, Entry>()
  readonly #options: OutboxOptions
  /** The transaction that was put off, and why. */
  #putOff: { txId: string; why: SkerryError } | undefined
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#entries.size
  }

  /** Why the server puts transactions off. */
  get waiting(): SkerryError | undefined {
    return this.#putOff?.why
  }

  /** Sends all that is unanswered, in order: there is a connection now, or there is room for them. */
  sendAll(): void {
    this.stopWaiting()
    for (const entry of this.#entries.values()) this.#options.send(entry.bytes)
  }

  /** There is no connection any more that anything could be put off on. */
  stopWaiting(): void {
    clearTimeout(this.#timer)
    if (this.#putOff === undefined) return
    this.#putOff = undefined
    this.onWaiting.call(undefined)
  }

  /** The server has not decided it, and will not before so many ms. */
  putOff(txId: string, why: SkerryError, retryMs: number): void {
    const entry = this.#entries.get(txId)
    if (!entry || (this.#putOff !== undefined && this.#putOff.txId !== txId)) return
    const isNews = this.#putOff?.why.code !== why.code
    this.#putOff = { txId, why }
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#options.send(entry.bytes), delay(retryMs, this.#options.maxDelayMs))
    if (isNews) this.onWaiting.call(why)
  }

  /** Takes a transaction in and sends it, if it may; one that cannot be sent is rejected at once. */
  add(txId: string, makeFrame: () => TransactionFrame): Transaction {
    const confirmed = new Promise<Confirmation>((resolve, reject) => {
      const bytes = this.#encode(makeFrame())
      if (this.#entries.has(txId)) throw new SkerryError('INVALID', `a transaction '${txId}' is already on its way`)
      this.#entries.set(txId, { bytes, resolve, reject })
      if (this.#putOff === undefined) this.#options.send(bytes)
      this.onCount.call(this.count)
    })
    confirmed.catch(() => {}) // whoever ignores it shall not get an unhandled rejection
    return { txId, confirmed }
  }

  resolve(txId: string, confirmation: Confirmation): void {
    this.#take(txId, entry => entry.resolve(confirmation))
  }

  reject(txId: string, error: SkerryError): void {
    this.#take(txId, entry => entry.reject(error))
  }

  rejectAll(error: SkerryError): void {
    this.stopWaiting()
    for (const txId of [...this.#entries.keys()]) this.reject(txId, error)
  }

  #take(txId: string, settle: (entry: Entry) => void): void {
    const entry = this.#entries.get(txId)
    if (!entry) return
    this.#entries.delete(txId)
    if (this.#putOff?.txId === txId) this.sendAll()
    settle(entry)
    this.onCount.call(this.count)
  }

  /** A server drops a frame that is too large without a word, so it must not be sent. */
  #encode(frame: TransactionFrame): Uint8Array {
    let bytes
    try {
      bytes = encodeFrame(frame)
    } catch (cause) {
      throw new SkerryError('INVALID', `a value cannot be sent: ${(cause as Error).message}`, { cause })
    }
    const { frameBytesMax } = this.#options
    if (bytes.length <= frameBytesMax) return bytes
    const limit = `a transaction may have ${frameBytesMax}`
    throw new SkerryError('FRAME_TOO_LARGE', `the transaction has ${bytes.length} bytes, ${limit}; split it`)
  }
}

/** As long as the server said, and up to half of that more, so that a thousand clients do not return as one. */
function delay(retryMs: number, maxMs: number): number {
  const ms = Math.min(Math.max(retryMs, RETRY_MS_MIN), maxMs)
  return ms + (Math.random() * ms) / 2
}
