/** A world without network and time: the test opens the sockets, speaks for the server, and turns the clock. */
import { encode } from '@msgpack/msgpack'
import type { TestContext } from 'node:test'
import type { WebSocketConstructor } from 'skerry'
import type { Frame } from './mock-server.js'

/** Takes over setTimeout and clearTimeout until the test is over. */
export class FakeClock {
  #now = 0
  #timers = new Map<number, { at: number; run: () => void }>()
  #count = 0

  constructor(t: TestContext) {
    t.mock.method(globalThis, 'setTimeout', ((run: () => void, ms = 0) => {
      this.#timers.set(++this.#count, { at: this.#now + ms, run })
      return this.#count
    }) as unknown as typeof setTimeout)
    t.mock.method(globalThis, 'clearTimeout', ((id: number) => void this.#timers.delete(id)) as typeof clearTimeout)
  }

  /** Milliseconds until each waiting timer, soonest first. */
  get waits(): number[] {
    return [...this.#timers.values()].map(timer => timer.at - this.#now).sort((a, b) => a - b)
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      const [next] = [...this.#timers].filter(([, timer]) => timer.at <= end).sort(([, a], [, b]) => a.at - b.at)
      if (!next) break
      this.#timers.delete(next[0])
      this.#now = next[1].at
      next[1].run()
      await settled()
    }
    this.#now = end
  }
}

/** Lets all promises that can settle do so. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve()
}

export class FakeSocket {
  binaryType = ''
  readyState = 0
  onopen: ((event: unknown) => void) | null = null
  onmessage: ((event: { data: unknown }) => void) | null = null
  onerror: ((event: unknown) => void) | null = null
  onclose: ((event: { code: number; reason: string }) => void) | null = null
  readonly sent: (string | Uint8Array)[] = []
  isClosed = false

  constructor(
    readonly address: string,
    readonly protocols: string[] = [],
  ) {}

  send(message: string | Uint8Array): void {
    this.sent.push(message)
  }

  close(): void {
    this.isClosed = true
  }

  /** The server's side. */
  open(): void {
    this.onopen?.({})
  }

  receive(message: Frame | string): void {
    this.onmessage?.({ data: typeof message === 'string' ? message : Uint8Array.from(encode(message)).buffer })
  }

  closeFrom(code: number, reason = ''): void {
    this.onclose?.({ code, reason })
  }
}

/** A WebSocket constructor, and the sockets that it made. */
export function fakeSockets(): { WebSocket: WebSocketConstructor; sockets: FakeSocket[] } {
  const sockets: FakeSocket[] = []
  class Socket extends FakeSocket {
    constructor(address: string, protocols?: string[]) {
      super(address, protocols)
      sockets.push(this)
    }
  }
  return { WebSocket: Socket, sockets }
}

/** Pretends to be a browser whose network comes and goes. */
export function fakeNetwork(t: TestContext): { online: () => void; offline: () => void; listeners: () => number } {
  const target = new EventTarget()
  let listeners = 0
  const global = globalThis as Record<string, unknown>
  global['addEventListener'] = (type: string, fn: () => void) => (listeners++, target.addEventListener(type, fn))
  global['removeEventListener'] = (type: string, fn: () => void) => (listeners--, target.removeEventListener(type, fn))
  t.after(() => {
    delete global['addEventListener']
    delete global['removeEventListener']
  })
  const fire = (type: string) => () => void target.dispatchEvent(new Event(type))
  return { online: fire('online'), offline: fire('offline'), listeners: () => listeners }
}
