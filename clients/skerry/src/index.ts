/**
 * The client of Skerry: one scope of a server, live, over one WebSocket.
 *
 * @packageDocumentation
 */
export { connect, type ConnectOptions, type Token } from './connect.js'
export { SkerryError } from './error.js'
export type { Hello, Op, Row, Value } from './frame.js'
export type { WebSocketConstructor, WebSocketLike } from './link.js'
export type { Confirmation, Transaction } from './outbox.js'
export type { Scope, Status, Subscription, TransactionOptions } from './scope.js'
export type { Batch, Change, SubscriptionHandlers } from './subscription.js'
