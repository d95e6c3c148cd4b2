/**
 * outbox - the transactions that the server has not answered, in the order in which they were made.
 *
 * Each is encoded once and kept as bytes, so that it is sent again unchanged. Its id makes the server do it once.
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

export class Outbox {
  readonly onCount = new Listeners<number>()
  readonly #entries = new Map<string, Entry>()
  readonly #frameBytesMax: number

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax
  }

  get count(): number {
    return this.#entries.size
  }

  /** All that is unanswered, in order. */
  *unanswered(): Iterable<Uint8Array> {
    for (const entry of this.#entries.values()) yield entry.bytes
  }

  /** Takes a transaction in and hands its bytes to `send`; one that cannot be sent is rejected at once. */
  add(txId: string, makeFrame: () => TransactionFrame, send: (bytes: Uint8Array) => void): Transaction {
    const confirmed = new Promise<Confirmation>((resolve, reject) => {
      const bytes = this.#encode(makeFrame())
      if (this.#entries.has(txId)) throw new SkerryError('INVALID', `a transaction '${txId}' is already on its way`)
      this.#entries.set(txId, { bytes, resolve, reject })
      send(bytes)
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
    for (const txId of [...this.#entries.keys()]) this.reject(txId, error)
  }

  #take(txId: string, settle: (entry: Entry) => void): void {
    const entry = this.#entries.get(txId)
    if (!entry) return
    this.#entries.delete(txId)
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
    if (bytes.length <= this.#frameBytesMax) return bytes
    const limit = `a transaction may have ${this.#frameBytesMax}`
    throw new SkerryError('FRAME_TOO_LARGE', `the transaction has ${bytes.length} bytes, ${limit}; split it`)
  }
}
