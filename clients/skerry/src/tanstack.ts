/**
 * skerry/tanstack - a Skerry collection as a collection of TanStack DB, whole and live.
 *
 * Synced rows reach TanStack in the boundary before their transaction's answer, and a handler returns with the answer:
 * so the optimistic row gives way to the row itself, never to a hole.
 */
import type {
  BaseCollectionConfig,
  CollectionConfig,
  InferSchemaOutput,
  PendingMutation,
  StandardSchema,
  SyncConfig,
  UtilsRecord,
} from '@tanstack/db'
import type { SkerryError } from './error.js'
import type { Op } from './frame.js'
import type { Scope } from './scope.js'
import type { Batch } from './subscription.js'

type Schema = StandardSchema<any>
type Mutation = PendingMutation<any>

export interface SkerryCollectionUtils extends UtilsRecord {
  /**
   * Sends what a transaction does to this collection, as one transaction of the server, and waits for its answer. For
   * transactions of your own, whose `mutationFn` may call it for each collection that it touches:
   *
   * ```ts
   * createTransaction({ mutationFn: ({ transaction }) => messages.utils.send(transaction) })
   * ```
   *
   * Two collections are two transactions of the server: one may be confirmed and the other rejected.
   */
  send(transaction: { mutations: readonly Mutation[] }): Promise<void>
}

export interface SkerryCollectionConfig<T extends object, S extends Schema = never> extends Omit<
  BaseCollectionConfig<T, string, S, SkerryCollectionUtils>,
  'getKey' | 'onInsert' | 'onUpdate' | 'onDelete' | 'syncMode' | 'utils'
> {
  /** The connection, from `connect`. All collections of a scope share one. */
  scope: Scope
  /** The collection's name in `app.json`. */
  collection: string
  /** A row's key, as in the table's key column; `row.id` by default. */
  getKey?: (row: T) => string
  /**
   * The columns to send with an insert or an update; all by default. Name them where the server sets columns or refuses
   * to have them written, and the row shown meanwhile has a guess of them.
   */
  columns?: readonly (keyof T & string)[]
  /** The server does not serve this collection, or the scope is closed. Before the first rows `preload()` fails too. */
  onError?: (error: SkerryError) => void
}

export type SkerryCollectionOptions<T extends object, S extends Schema = never> = Omit<
  CollectionConfig<T, string, S, SkerryCollectionUtils>,
  'utils'
> & { utils: SkerryCollectionUtils }

/**
 * Options for TanStack DB's `createCollection`. The collection holds all rows that the server shows to this user.
 *
 * An `insert`, `update` or `delete` is shown at once and goes out as one transaction; an update sends the columns that
 * changed, `undefined` as NULL. The TanStack transaction completes when the server has confirmed it. When the server
 * rejects it, it rolls back, and `when('settled')` rejects with the SkerryError. Without a connection it waits.
 *
 * ```ts
 * const messages = createCollection(skerryCollectionOptions<Message>({ scope, collection: 'messages' }))
 * messages.insert({ id: crypto.randomUUID(), text: 'Hello' })
 * ```
 */
export function skerryCollectionOptions<S extends Schema>(
  config: SkerryCollectionConfig<InferSchemaOutput<S>, S> & { schema: S },
): SkerryCollectionOptions<InferSchemaOutput<S>, S> & { schema: S }
export function skerryCollectionOptions<T extends object>(
  config: SkerryCollectionConfig<T> & { schema?: never },
): SkerryCollectionOptions<T> & { schema?: never }
export function skerryCollectionOptions(config: SkerryCollectionConfig<any, any>): SkerryCollectionOptions<any, any> {
  const { scope, collection, columns, onError, getKey = defaultKey, ...rest } = config
  const sync: SyncConfig<any, string> = {
    rowUpdateMode: 'full',
    sync: params => follow(scope, collection, params, onError),
  }
  const send: SkerryCollectionUtils['send'] = async ({ mutations }) => {
    const own = mutations.filter(mutation => mutation.collection.config.sync === sync)
    if (own.length > 0)
      await scope.mutate(
        collection,
        own.map(mutation => toOp(mutation, columns)),
      ).confirmed
  }
  const onMutation = ({ transaction }: { transaction: { mutations: readonly Mutation[] } }) => send(transaction)
  return { ...rest, getKey, sync, onInsert: onMutation, onUpdate: onMutation, onDelete: onMutation, utils: { send } }
}

function defaultKey(row: { id?: unknown }): string {
  if (typeof row.id === 'string') return row.id
  throw new TypeError('the row has no `id` that is a string: give skerryCollectionOptions a getKey')
}

type SyncParams = Parameters<SyncConfig<any, string>['sync']>[0]

/** One sync run: from the collection's first reader until it is cleaned up. */
function follow(
  scope: Scope,
  collection: string,
  params: SyncParams,
  onError?: (error: SkerryError) => void,
): () => void {
  const { getKey } = params.collection.config
  const held = new Set<string>()
  const subscription = scope.subscribe<object>(collection, {
    onBatch: batch => {
      for (const change of batch) if (change.type === 'upsert') checkKey(getKey(change.row), change.key)
      apply(batch, held, params)
    },
    onReady: () => params.markReady(),
    onError: error => {
      // Rows that are there stay usable: only a collection that never had any has failed.
      if (params.collection.status === 'loading') params.markError(error)
      onError?.(error)
    },
  })
  return () => subscription.close()
}

function checkKey(given: unknown, key: string): void {
  if (given !== key) throw new TypeError(`getKey returns ${String(given)} for the row whose key is '${key}'`)
}

/** A snapshot is applied as its difference to what is held: `truncate` would tell every reader that all rows went. */
function apply(batch: Batch<object>, held: Set<string>, { begin, write, commit }: SyncParams): void {
  begin()
  if (batch.snapshot) {
    const present = new Set(batch.map(change => change.key))
    for (const key of held) if (!present.has(key)) remove(key)
  }
  for (const change of batch) {
    if (change.type === 'delete') remove(change.key)
    else write({ type: held.has(change.key) ? 'update' : 'insert', value: change.row })
    if (change.type === 'upsert') held.add(change.key)
  }
  commit()

  function remove(key: string): void {
    if (held.delete(key)) write({ type: 'delete', key })
  }
}

function toOp(mutation: Mutation, columns: readonly string[] | undefined): Op {
  const { type, key } = mutation
  if (type === 'delete') return { type, key }
  const source: Record<string, unknown> = type === 'insert' ? mutation.modified : mutation.changes
  const names = Object.keys(source).filter(name => (columns ? columns.includes(name) : !isVirtual(name)))
  const cols = names.map(name => [name, type === 'update' && source[name] === undefined ? null : source[name]])
  return { type, key, cols: Object.fromEntries(cols) }
}

/** TanStack gives rows properties of its own, which a copied row carries along. */
function isVirtual(name: string): boolean {
  return name.startsWith('$')
}
