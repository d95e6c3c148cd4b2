/** A mock server and a client of it, both gone when the test is over. */
import type { TestContext } from 'node:test'
import { connect, type ConnectOptions, type Scope } from 'skerry'
import { WebSocket } from 'ws'
import { MockServer } from './mock-server.js'

/** Short waits, so that a reconnection does not slow the test; what is tested never depends on them. */
export const quick = { WebSocket, minDelayMs: 1, maxDelayMs: 20 }
export const room = { app: 'chat', kind: 'room', id: 'lobby' }

export async function stage(
  t: TestContext,
  options: Partial<ConnectOptions> = {},
): Promise<{ server: MockServer; scope: Scope }> {
  const server = await MockServer.start()
  const scope = connect({ url: server.url, ...room, ...quick, ...options })
  t.after(async () => {
    scope.close()
    await server.stop()
  })
  return { server, scope }
}

/** What the package throws for an application's error handler, which here would end the test. */
export function catchThrown(t: TestContext): unknown[] {
  const thrown: unknown[] = []
  const later = globalThis.queueMicrotask
  t.mock.method(globalThis, 'queueMicrotask', (run: () => void) => {
    later(() => {
      try {
        run()
      } catch (error) {
        thrown.push(error)
      }
    })
  })
  return thrown
}
