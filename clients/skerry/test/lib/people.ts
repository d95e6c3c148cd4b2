/** People in a scope of the real server. */
import { randomUUID } from 'node:crypto'
import type { TestContext } from 'node:test'
import { connect, type ConnectOptions, type Row, type Scope } from 'skerry'
import { WebSocket } from 'ws'
import { Follower } from './observe.js'
import { quick } from './stage.js'

export interface Person<R extends object = Row> {
  scope: Scope
  follower: Follower<R>
  /** Cuts this person's connection, and lets none be made. */
  goAway(): void
  comeBack(): void
}

/** Connects somebody who follows `collection`. The scope is closed when the test is over. */
export function enter<R extends object = Row>(
  t: TestContext,
  collection: string,
  options: Omit<ConnectOptions, 'WebSocket'>,
): Person<R> {
  const sockets = new Set<WebSocket>()
  let isAway = false
  class Leash extends WebSocket {
    constructor(address: string, protocols?: string[]) {
      if (isAway) throw new Error('away')
      super(address, protocols)
      sockets.add(this)
      this.on('close', () => sockets.delete(this))
    }
  }
  const scope = connect({ ...quick, ...options, WebSocket: Leash })
  t.after(() => scope.close())
  const follower = new Follower<R>(scope, collection)
  return {
    scope,
    follower,
    goAway() {
      isAway = true
      for (const socket of sockets) socket.terminate()
    },
    comeBack() {
      isAway = false
    },
  }
}

/** A scope that no other test uses. */
export function newRoom(): string {
  return `room ${randomUUID()}`
}
