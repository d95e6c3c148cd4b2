/**
 * Whatever the network does: every transaction is decided once, in order, and answered; and what is shown is what the
 * server has. A hundred storms, each from its seed.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { connect, type Scope } from 'skerry'
import { FakeClock, fakeSockets, settled, type FakeSocket } from '../lib/fake.js'
import { ModelServer, type Session } from '../lib/model-server.js'
import { Follower } from '../lib/observe.js'

/** Small, seeded, good enough: mulberry32. */
function randomFrom(seed: number): (below: number) => number {
  return below => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

class Storm {
  readonly server = new ModelServer()
  readonly #clock: FakeClock
  readonly #sockets: FakeSocket[]
  readonly scope: Scope
  readonly followers: Map<string, Follower>
  /** Transaction ids as they were made, and how they ended. */
  readonly made: string[] = []
  readonly ended: string[] = []
  failure: unknown
  #session: Session | undefined
  /** How much of what the newest socket sent has arrived. */
  #arrived = 0
  #nextKey = 0

  constructor(
    t: TestContext,
    readonly random: (below: number) => number,
  ) {
    this.#clock = new FakeClock(t)
    const { WebSocket, sockets } = fakeSockets()
    this.#sockets = sockets
    this.scope = connect({ url: 'ws://storm.example', app: 'chat', kind: 'room', id: 'lobby', WebSocket })
    this.followers = new Map(['messages', 'pins'].map(name => [name, new Follower(this.scope, name)]))
  }

  get #socket(): FakeSocket {
    return this.#sockets.at(-1)!
  }

  /** One thing happens. */
  async step(): Promise<void> {
    const { random } = this
    const steps: [number, () => unknown][] = [
      [30, () => this.#deliverUp()],
      [60, () => this.#deliverDown()],
      [12, () => this.#mutate()],
      [
        8,
        () => this.server.write(this.#collection(), `k${random(8)}`, random(3) ? { text: `${random(99)}` } : undefined),
      ],
      [4, () => this.#cut()],
      [1, () => this.server.reload()],
      [2, () => this.#session && this.server.endResume(this.#session)],
      [6, () => this.#advance()],
    ]
    let pick = random(steps.reduce((sum, [weight]) => sum + weight, 0))
    const [, run] = steps.find(([weight]) => (pick -= weight) < 0)!
    await run()
    await settled()
  }

  /** The storm is over: whatever is on its way arrives. */
  async calm(): Promise<void> {
    do {
      await this.#advance()
      while (this.#deliverUp() || this.#deliverDown());
      await settled()
    } while (this.scope.status !== 'online' || this.#deliverUp() || this.#deliverDown())
  }

  #collection(): string {
    return this.random(3) ? 'messages' : 'pins'
  }

  #mutate(): void {
    const collection = this.#collection()
    const isForbidden = this.random(6) === 0
    const key = `own${this.#nextKey++}`
    const tx = this.scope.mutate(collection, [
      { type: 'insert', key, cols: { text: isForbidden ? 'forbidden' : 'hi' } },
    ])
    this.made.push(tx.txId)
    const end = (hasRow: boolean) => {
      this.ended.push(tx.txId)
      assert.equal(this.followers.get(collection)!.rows.has(key), hasRow, `${key} at its confirmation`)
    }
    tx.confirmed
      .then(
        () => end(true),
        () => end(false),
      )
      .catch(error => (this.failure ??= error))
  }

  /** The network delivers the client's next message; whether there was one. */
  #deliverUp(): boolean {
    const { sent } = this.#socket
    if (!this.#session || this.#arrived === sent.length) return false
    const message = sent[this.#arrived++]!
    if (typeof message !== 'string') this.server.receive(this.#session, message)
    return true
  }

  #deliverDown(): boolean {
    const bytes = this.#session?.out.shift()
    if (bytes) this.#socket.onmessage?.({ data: Uint8Array.from(bytes).buffer })
    return bytes !== undefined
  }

  /** The connection breaks; what was on its way is gone, in both directions. */
  #cut(): void {
    if (!this.#session) return
    this.server.sessions.delete(this.#session)
    this.#session = undefined
    this.#socket.closeFrom(1006)
  }

  /** Time passes until the client has made its next attempt, which succeeds. */
  async #advance(): Promise<void> {
    if (this.#session) return
    if (this.#socket.isClosed) await this.#clock.advance(this.#clock.waits[0]!)
    this.#session = this.server.connect()
    this.#arrived = 0
    this.#socket.open()
  }
}

test('a hundred storms', async t => {
  let repeated = 0
  for (let seed = 1; seed <= 100; seed++) {
    await t.test(`from seed ${seed}`, async t => {
      const storm = new Storm(t, randomFrom(seed))
      await settled()
      for (let count = 0; count < 400; count++) await storm.step()
      await storm.calm()

      assert.equal(storm.failure, undefined)
      assert.ok(storm.made.length > 10, 'there were transactions')
      assert.deepEqual(storm.server.decided, storm.made, 'each decided once, in order')
      assert.deepEqual(storm.ended, storm.made, 'each answered once, in order')
      for (const [name, follower] of storm.followers)
        assert.deepEqual(sorted(follower.rows), sorted(storm.server.rows(name)), name)
      repeated += storm.server.repeated
      storm.scope.close()
    })
  }
  assert.ok(repeated > 100, 'answers were lost, and transactions sent again')
})

function sorted(rows: Map<string, object>): [string, object][] {
  return [...rows].sort(([a], [b]) => (a < b ? -1 : 1))
}
