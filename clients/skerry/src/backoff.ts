/**
 * How long to wait before the next attempt to connect, in milliseconds: a random time between `minMs` and a limit that
 * doubles with each failure up to `maxMs`, so that a thousand clients that lost the same server do not return as one.
 */
export function retryDelay(failures: number, minMs: number, maxMs: number, random: () => number = Math.random): number {
  const limit = Math.min(maxMs, minMs * 2 ** (failures + 1))
  return minMs + random() * (limit - minMs)
}
