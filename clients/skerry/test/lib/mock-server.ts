/**
 * A server whose lines are spoken by the test: it shows what the client sends, frame by frame, and sends what it is
 * told. Everything waits for what is to happen, and fails after PATIENCE_MS.
 */
import { decode, encode } from '@msgpack/msgpack'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'

export type Frame = Record<string, any>

export const PATIENCE_MS = 10_000

export class MockServer {
  readonly #server: WebSocketServer
  readonly #connections = new Queue<MockConnection>()

  private constructor(server: WebSocketServer) {
    this.#server = server
    server.on('connection', (socket, request) => {
      if (socket.protocol === '' && request.headers['sec-websocket-protocol']) return // it gives up
      this.#connections.push(new MockConnection(socket, request.url ?? '', request.headers.origin))
    })
  }

  /** It chooses the extended contract where that is offered, unless `base` says that it knows no other than that. */
  static async start({ port = 0, base = false } = {}): Promise<MockServer> {
    const handleProtocols = base ? () => false as const : undefined
    const server = new WebSocketServer({ port, host: '127.0.0.1', ...(handleProtocols && { handleProtocols }) })
    await once(server, 'listening')
    return new MockServer(server)
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** The next connection, once it is there. */
  connection(): Promise<MockConnection> {
    return this.#connections.shift('a connection')
  }

  /** Stops listening and drops everybody. */
  async stop(): Promise<void> {
    for (const socket of this.#server.clients) socket.terminate()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

export class MockConnection {
  readonly path: string
  readonly query: URLSearchParams
  readonly #socket: WebSocket
  readonly #messages = new Queue<Frame | string>()
  readonly closed: Promise<unknown>

  constructor(
    socket: WebSocket,
    address: string,
    readonly origin: string | undefined,
  ) {
    const url = new URL(address, 'http://mock')
    this.path = url.pathname
    this.query = url.searchParams
    this.#socket = socket
    this.closed = once(socket, 'close')
    socket.on('message', (data: Buffer, isBinary) => {
      this.#messages.push(isBinary ? (decode(data) as Frame) : data.toString())
    })
  }

  /** The next message: a frame, decoded, or a text. */
  message(): Promise<Frame | string> {
    return this.#messages.shift('a message')
  }

  /** The next frame, which must be of this kind. */
  async frame(kind: string): Promise<Frame> {
    const message = await this.message()
    if (typeof message === 'string' || message['t'] !== kind) {
      throw new Error(`expected a '${kind}' frame, got ${JSON.stringify(message)}`)
    }
    return message
  }

  /** How many messages came that the test has not looked at. */
  get unread(): number {
    return this.#messages.length
  }

  send(...frames: Frame[]): void {
    for (const frame of frames) this.#socket.send(encode(frame))
  }

  sendRaw(data: string | Uint8Array): void {
    this.#socket.send(data)
  }

  /** Closes as a server does. */
  async close(code: number, reason = ''): Promise<void> {
    this.#socket.close(code, reason)
    await this.closed
  }

  /** Cuts the connection without a word. */
  async drop(): Promise<void> {
    this.#socket.terminate()
    await this.closed
  }
}

/** A list whose readers wait for its writers. */
class Queue<T> {
  readonly #items: T[] = []
  #wake: (() => void) | undefined

  get length(): number {
    return this.#items.length
  }

  push(item: T): void {
    this.#items.push(item)
    this.#wake?.()
  }

  async shift(what: string): Promise<T> {
    if (this.#items.length === 0) {
      await patiently(what, new Promise<void>(resolve => (this.#wake = resolve)))
      this.#wake = undefined
    }
    return this.#items.shift()!
  }
}

/** The promise's outcome, or a failure that says what did not come. */
export async function patiently<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${PATIENCE_MS} ms`)), PATIENCE_MS)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
