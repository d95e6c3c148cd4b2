/**
 * What went wrong, for every error of this package.
 *
 * `code` is stable and meant for programs; `message` is meant for people.
 *
 * | code | what happened |
 * |---|---|
 * | `CONSTRAINT`, `FORBIDDEN`, `VALIDATION`, ... | the server rejected a transaction; the code is the server's |
 * | `STORAGE_FULL`, `OVERLOADED`, `QUOTA`, `UNAVAILABLE` | the server decides nothing for now (`scope.waiting`) |
 * | `REJECTED` | the server rejected a transaction without giving a code |
 * | `FRAME_TOO_LARGE` | the transaction is larger than `maxFrameBytes`; it was not sent |
 * | `INVALID` | an argument cannot be used; nothing was sent |
 * | `REFUSED` | the server does not serve this subscription |
 * | `UNAUTHENTICATED` | the server closed with 4401: the token is missing, expired or revoked |
 * | `FORBIDDEN` | the server closed with 4403: not allowed in this scope (`closeCode` is set) |
 * | `CLOSED` | the scope was closed before the answer came, or by the server with another 4xxx code |
 * | `UNREACHABLE`, `TIMEOUT`, `TOKEN`, `OFFLINE`, `PROTOCOL` | why there is no connection (`scope.lastError`) |
 */
export class SkerryError extends Error {
  override readonly name = 'SkerryError'
  readonly code: string
  /** The WebSocket close code, where a closed socket is the cause. */
  readonly closeCode: number | undefined

  constructor(code: string, message: string, options: { cause?: unknown; closeCode?: number } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.closeCode = options.closeCode
  }
}

/**
 * Throws what a listener threw, once the work in hand is done: an application's mistake reaches its error handler,
 * and never leaves this package's state half changed.
 */
export function guarded(call: () => void): void {
  try {
    call()
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
