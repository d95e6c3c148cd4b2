/**
 * link - one WebSocket to one scope that comes back when it is lost.
 *
 * It knows addresses, waiting and silence, and nothing of frames. What it is given to send while down is the caller's
 * to send again: `onUp` says when.
 *
 * It asks for the extended contract. A server that has only the base contract does not choose a subprotocol, and then
 * browsers give the socket up; so as long as no server has chosen it, an attempt that fails is made again without.
 */
import { retryDelay } from './backoff.js'
import { SkerryError } from './error.js'

/** What this package uses of a WebSocket: the browser's, Node's, or the one of the npm package `ws`. */
export interface WebSocketLike {
  binaryType: string
  readonly readyState: number
  /** The subprotocol that the server chose. */
  readonly protocol?: string
  onopen: ((event: any) => void) | null
  onmessage: ((event: any) => void) | null
  onerror: ((event: any) => void) | null
  onclose: ((event: any) => void) | null
  send(data: string | Uint8Array<ArrayBuffer>): void
  close(code?: number): void
}
export type WebSocketConstructor = new (address: string, protocols?: string[]) => WebSocketLike

export interface LinkOptions {
  /** The address to connect to, asked for at each attempt. */
  address: () => Promise<string>
  WebSocket: WebSocketConstructor
  connectTimeoutMs: number
  minDelayMs: number
  maxDelayMs: number
}

export interface LinkEvents {
  /** The socket is open. */
  onUp(): void
  /** A binary message came. */
  onMessage(bytes: Uint8Array): void
  /** The socket is lost, or could not be opened; the next attempt is on its way. */
  onDown(error: SkerryError): void
  /** The server closed for good (4000 to 4999); `restart` tries again. */
  onFinal(error: SkerryError): void
}

/** After so long without a message the peer is asked for one, and after so long without an answer it counts as dead. */
const QUIET_MS = 15_000
const ANSWER_MS = 10_000

const TRY_AGAIN_LATER = 1013

/** The subprotocol of the extended contract. */
const EXTENDED = 'skerry.v1'

export class Link {
  readonly #options: LinkOptions
  readonly #events: LinkEvents
  #socket: WebSocketLike | undefined
  #isUp = false
  /** A server has chosen the extended contract, so an attempt that fails says nothing about that. */
  #isExtended = false
  /** Where to try again at once, with the base contract, if this attempt fails. */
  #baseAddress: string | undefined
  /** Counts attempts, so that an address that arrives late is known to be late. */
  #attempt = 0
  /** Failures in a row; the first message ends the row. */
  #failures = 0
  /** Closings in a row that ask for patience, however much was said before them. */
  #setbacks = 0
  /** The server has said that before so many ms it is not back. */
  #backInMs = 0
  /** One timer: until the next attempt, for the attempt, or for the silence of an open socket. */
  #timer: ReturnType<typeof setTimeout> | undefined
  #heard = false
  #stopListening: (() => void) | undefined

  constructor(options: LinkOptions, events: LinkEvents) {
    this.#options = options
    this.#events = events
  }

  get isUp(): boolean {
    return this.#isUp
  }

  /** Connects at once, also in the middle of a wait. */
  start(): void {
    this.#stopListening ??= listenToNetwork(
      () => this.#onNetwork(),
      () => this.#onNoNetwork(),
    )
    void this.#dial()
  }

  send(message: string | Uint8Array): void {
    this.#socket?.send(message as string | Uint8Array<ArrayBuffer>)
  }

  /** Closes without another attempt. No event follows. */
  stop(): void {
    this.#stopListening?.()
    this.#stopListening = undefined
    this.#attempt++
    this.#drop()
  }

  /** Gives up this socket over something that its peer did wrong, and connects again with more and more patience. */
  fail(error: SkerryError): void {
    this.#setbacks++
    this.#lose(error)
  }

  /** The server is about to close and says when it is worth coming back. */
  expectBack(ms: number): void {
    this.#backInMs = ms
  }

  async #dial(): Promise<void> {
    const attempt = ++this.#attempt
    this.#drop()
    let address
    try {
      address = await this.#options.address()
    } catch (cause) {
      if (attempt === this.#attempt) this.#lose(new SkerryError('TOKEN', 'the token callback failed', { cause }))
      return
    }
    if (attempt !== this.#attempt) return
    this.#connect(address, true)
  }

  #connect(address: string, extended: boolean): void {
    this.#baseAddress = extended && !this.#isExtended ? address : undefined
    try {
      this.#open(new this.#options.WebSocket(address, extended ? [EXTENDED] : []))
    } catch (cause) {
      this.#lose(new SkerryError('UNREACHABLE', `no WebSocket can be opened: ${(cause as Error).message}`, { cause }))
    }
  }

  #open(socket: WebSocketLike): void {
    this.#socket = socket
    socket.binaryType = 'arraybuffer'
    const ifCurrent =
      <E>(handle: (event: E) => void) =>
      (event: E) => {
        if (this.#socket === socket) handle(event)
      }
    socket.onopen = ifCurrent(() => this.#onOpen())
    socket.onmessage = ifCurrent((event: { data: unknown }) => this.#onMessage(event.data))
    socket.onclose = ifCurrent((event: { code: number; reason: string }) => this.#onClose(event.code, event.reason))
    socket.onerror = () => {} // a close event follows, and says more
    const { connectTimeoutMs } = this.#options
    this.#wait(connectTimeoutMs, () => {
      this.#lose(new SkerryError('TIMEOUT', `no connection within ${connectTimeoutMs} ms`))
    })
  }

  #onOpen(): void {
    this.#isUp = true
    this.#isExtended ||= this.#socket?.protocol === EXTENDED
    this.#listen()
    this.#events.onUp()
  }

  #onMessage(data: unknown): void {
    this.#heard = true
    this.#failures = 0
    if (data instanceof ArrayBuffer) this.#events.onMessage(new Uint8Array(data))
  }

  #onClose(code: number, reason: string): void {
    const error = closingError(code, reason, this.#isUp)
    if (code >= 4000 && code <= 4999) {
      this.stop()
      this.#events.onFinal(error)
      return
    }
    if (!this.#isUp && this.#baseAddress !== undefined) return this.#connect(this.#baseAddress, false)
    this.#setbacks = code === TRY_AGAIN_LATER ? this.#setbacks + 1 : 0
    this.#lose(error)
  }

  #lose(error: SkerryError): void {
    this.#drop()
    const { minDelayMs, maxDelayMs } = this.#options
    const leastMs = Math.min(Math.max(minDelayMs, this.#backInMs), maxDelayMs)
    this.#backInMs = 0
    this.#wait(retryDelay(this.#failures++ + this.#setbacks, leastMs, maxDelayMs), () => void this.#dial())
    this.#events.onDown(error)
  }

  #drop(): void {
    clearTimeout(this.#timer)
    const socket = this.#socket
    this.#socket = undefined
    this.#isUp = false
    socket?.close()
  }

  #wait(ms: number, then: () => void): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(then, ms)
  }

  /** Waits for silence: asks a peer that says nothing for QUIET_MS whether it is there. */
  #listen(): void {
    this.#heard = false
    this.#wait(QUIET_MS, () => (this.#heard ? this.#listen() : this.#ask()))
  }

  #ask(): void {
    this.#heard = false
    this.send('ping')
    this.#wait(ANSWER_MS, () => {
      if (this.#heard) this.#listen()
      else this.#lose(new SkerryError('TIMEOUT', `the server did not answer within ${ANSWER_MS} ms`))
    })
  }

  /** The machine is on a network again, perhaps another one: a wait is pointless, and an open socket may be dead. */
  #onNetwork(): void {
    this.#failures = 0
    if (this.#isUp) this.#ask()
    else void this.#dial()
  }

  /** Attempts go on: a server on this machine or in this house is still there. */
  #onNoNetwork(): void {
    this.#lose(new SkerryError('OFFLINE', 'the browser says that there is no network'))
  }
}

function closingError(code: number, reason: string, wasUp: boolean): SkerryError {
  const said = reason === '' ? '' : `: ${reason}`
  if (code === 4401)
    return new SkerryError('UNAUTHENTICATED', `the server does not know who this is${said}`, { closeCode: code })
  if (code === 4403) return new SkerryError('FORBIDDEN', `not allowed in this scope${said}`, { closeCode: code })
  if (code >= 4000 && code <= 4999)
    return new SkerryError('CLOSED', `the server closed with ${code}${said}`, { closeCode: code })
  const what = wasUp ? 'the connection was lost' : 'the server cannot be reached'
  return new SkerryError('UNREACHABLE', `${what} (${code}${said})`, { closeCode: code })
}

function listenToNetwork(onOnline: () => void, onOffline: () => void): () => void {
  if (typeof globalThis.addEventListener !== 'function') return () => {} // Node
  globalThis.addEventListener('online', onOnline)
  globalThis.addEventListener('offline', onOffline)
  return () => {
    globalThis.removeEventListener('online', onOnline)
    globalThis.removeEventListener('offline', onOffline)
  }
}
