import { guarded } from './error.js'

/** Functions to call when a value changes. */
export class Listeners<T> {
  readonly #functions = new Set<(value: T) => void>()

  /** Adds `fn`; the result removes it again. */
  add(fn: (value: T) => void): () => void {
    const entry = (value: T) => fn(value)
    this.#functions.add(entry)
    return () => void this.#functions.delete(entry)
  }

  call(value: T): void {
    for (const fn of [...this.#functions]) guarded(() => fn(value))
  }
}
