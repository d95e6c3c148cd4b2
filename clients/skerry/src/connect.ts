import { SkerryError } from './error.js'
import { checkOrigin, checkSegment } from './check.js'
import type { WebSocketConstructor } from './link.js'
import { Scope } from './scope.js'

/** Who the caller is, as the server's app knows them: a JWT. */
export type Token = string | (() => string | Promise<string>)

export interface ConnectOptions {
  /** The server's origin: `http(s)://` or `ws(s)://`, host and port. In a browser: the page's own by default. */
  url?: string | undefined
  /** The app, the kind and the id of the scope, as they are; the client encodes them. */
  app: string
  kind: string
  id: string
  /**
   * The token, or a function that returns one. It is asked again at each (re)connection; if it fails, the connection
   * counts as failed and is tried again.
   */
  token?: Token | undefined
  /** A name instead of a token: for servers started with `--dev`, from the same machine. */
  user?: string | undefined
  /** A WebSocket constructor, where there is no global one: Node before 22 (`import { WebSocket } from 'ws'`). */
  WebSocket?: WebSocketConstructor | undefined
  /** How long an attempt to connect may take. In ms, 10,000 by default. */
  connectTimeoutMs?: number
  /** The shortest wait before a reconnection. In ms, 250 by default. */
  minDelayMs?: number
  /** The longest wait before a reconnection. In ms, 30,000 by default. */
  maxDelayMs?: number
  /** The largest transaction to send; the server drops larger ones. In bytes, 1 MiB by default, as with the server. */
  maxFrameBytes?: number
}

/**
 * Connects to a scope and stays connected until `close()`. Returns at once; `status` tells how it goes.
 * Throws a SkerryError (`INVALID`) for options that cannot work.
 */
export function connect(options: ConnectOptions): Scope {
  const { token, connectTimeoutMs = 10_000, minDelayMs = 250, maxDelayMs = 30_000 } = options
  checkDelays({ connectTimeoutMs, minDelayMs, maxDelayMs })
  const address = scopeAddress(options)
  const link = {
    address: async () => {
      const current = typeof token === 'function' ? await token() : token
      return current === undefined ? address : `${address}&token=${encodeURIComponent(current)}`
    },
    WebSocket: webSocketConstructor(options.WebSocket),
    connectTimeoutMs,
    minDelayMs,
    maxDelayMs,
  }
  return new Scope(link, options.maxFrameBytes ?? 1024 * 1024)
}

/** `deny=close` makes the server say 4401 or 4403 in the socket: a browser hides a refused upgrade's status. */
function scopeAddress({ url, app, kind, id, user }: ConnectOptions): string {
  const path = [checkSegment('app', app), checkSegment('kind', kind), checkSegment('id', id)].join('/')
  const who = user === undefined ? '' : `&user=${checkSegment('user', user)}`
  return `${checkOrigin(url)}/v1/${path}/sync?deny=close${who}`
}

function webSocketConstructor(given: WebSocketConstructor | undefined): WebSocketConstructor {
  const constructor: WebSocketConstructor | undefined = given ?? globalThis.WebSocket
  if (typeof constructor === 'function') return constructor
  throw new SkerryError('INVALID', "there is no WebSocket here: pass one, import { WebSocket } from 'ws'")
}

function checkDelays(delays: Record<'connectTimeoutMs' | 'minDelayMs' | 'maxDelayMs', number>): void {
  for (const [name, ms] of Object.entries(delays)) {
    if (!(ms > 0 && ms <= 0x7fffffff))
      throw new SkerryError('INVALID', `${name} must be a number of ms above 0, not ${ms}`)
  }
  if (delays.minDelayMs > delays.maxDelayMs) throw new SkerryError('INVALID', 'minDelayMs must not be above maxDelayMs')
}
