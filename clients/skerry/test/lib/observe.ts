/** What a test sees of a scope: its rows, and everything that its handlers were told, to be waited for. */
import type { Batch, Row, Scope, SkerryError, Status, Subscription } from 'skerry'
import { patiently } from './mock-server.js'

/** Waits until `condition` holds, looking whenever `subscribe` says that something has changed. */
async function until(
  what: string,
  condition: () => boolean,
  subscribe: (look: () => void) => () => void,
): Promise<void> {
  if (condition()) return
  let stop: (() => void) | undefined
  const holds = new Promise<void>(resolve => {
    stop = subscribe(() => void (condition() && resolve()))
  })
  await patiently(what, holds).finally(() => stop?.())
}

export async function untilStatus(scope: Scope, status: Status): Promise<void> {
  await until(
    `status ${status}`,
    () => scope.status === status,
    look => scope.onStatus(look),
  )
}

export async function untilPending(scope: Scope, count: number): Promise<void> {
  await until(
    `${count} pending`,
    () => scope.pending === count,
    look => scope.onPending(look),
  )
}

/** Follows a collection as an application would, and keeps a diary. */
export class Follower<R extends object = Row> {
  readonly rows = new Map<string, R>()
  /** `snapshot a b`, `batch +a -b`, `reset`, `ready`, `error CODE`, in the order in which they came. */
  readonly diary: string[] = []
  readonly subscription: Subscription
  readonly #watchers = new Set<() => void>()

  constructor(scope: Scope, collection: string) {
    this.subscription = scope.subscribe<R>(collection, {
      onBatch: batch => this.#apply(batch),
      onReset: () => this.#note('reset'),
      onReady: () => this.#note('ready'),
      onError: (error: SkerryError) => this.#note(`error ${error.code}`),
    })
  }

  /** Waits until the diary has this entry, after the first `from` ones. */
  async untilNoted(entry: string, from = 0): Promise<void> {
    await this.until(`'${entry}'`, () => this.diary.includes(entry, from))
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    await until(what, condition, look => {
      this.#watchers.add(look)
      return () => this.#watchers.delete(look)
    }).catch(error => {
      throw new Error(`${error.message}; the diary: ${this.diary.slice(-10).join(', ')}`)
    })
  }

  #apply(batch: Batch<R>): void {
    if (batch.snapshot) this.rows.clear()
    for (const change of batch) {
      if (change.type === 'upsert') this.rows.set(change.key, change.row)
      else this.rows.delete(change.key)
    }
    const changes = batch.map(change => (batch.snapshot ? '' : change.type === 'upsert' ? '+' : '-') + change.key)
    this.#note([batch.snapshot ? 'snapshot' : 'batch', ...changes].join(' '))
  }

  #note(entry: string): void {
    this.diary.push(entry)
    for (const look of [...this.#watchers]) look()
  }
}
