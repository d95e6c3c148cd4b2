/**
 * seq - positions in a scope's log, as they travel: decimal strings.
 *
 * They may pass 2^53, so they are compared as text and never become numbers.
 */

/** Whether `value` is a position: decimal digits without leading zeros. */
export function isSeq(value: unknown): value is string {
  return typeof value === 'string' && /^(0|[1-9][0-9]*)$/.test(value)
}

/** The later of two positions; `undefined` is before all of them. */
export function laterSeq(a: string | undefined, b: string): string {
  if (a === undefined) return b
  if (a.length !== b.length) return a.length > b.length ? a : b
  return a > b ? a : b
}
