/** When the client waits, for how long, and what makes it stop waiting. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { connect, type ConnectOptions, type Scope } from 'skerry'
import { retryDelay } from '#skerry/backoff'
import { FakeClock, fakeNetwork, fakeSockets, settled, type FakeSocket } from '../lib/fake.js'

interface Desk {
  clock: FakeClock
  scope: Scope
  sockets: FakeSocket[]
  /** The newest socket. */
  socket: () => FakeSocket
  /** Nobody is there, for either contract. */
  refuse: () => void
}

async function desk(t: TestContext, options: Partial<ConnectOptions> = {}): Promise<Desk> {
  const clock = new FakeClock(t)
  const { WebSocket, sockets } = fakeSockets()
  const scope = connect({ url: 'wss://sync.example', app: 'chat', kind: 'room', id: 'lobby', WebSocket, ...options })
  await settled()
  const socket = () => sockets.at(-1)!
  const refuse = () => {
    socket().closeFrom(1006)
    socket().closeFrom(1006)
  }
  return { clock, scope, sockets, socket, refuse }
}

test('the wait is random, between its bounds, and doubles', () => {
  const bounds = (failures: number) => [0, 1].map(random => retryDelay(failures, 250, 30_000, () => random))
  assert.deepEqual(bounds(0), [250, 500])
  assert.deepEqual(bounds(1), [250, 1000])
  assert.deepEqual(bounds(6), [250, 30_000])
  assert.deepEqual(bounds(5000), [250, 30_000])
})

test('failures make it patient, a message makes it quick again', async t => {
  const { clock, socket, sockets, refuse } = await desk(t)
  t.mock.method(Math, 'random', () => 1)
  for (const wait of [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
    refuse()
    const count = sockets.length
    assert.deepEqual(clock.waits, [wait])
    await clock.advance(wait - 1)
    assert.equal(sockets.length, count)
    await clock.advance(1)
    assert.equal(sockets.length, count + 1)
  }
  socket().open()
  socket().receive('pong')
  socket().closeFrom(1006)
  assert.deepEqual(clock.waits, [500])
})

test('a server that asks for patience gets it, though it speaks in between', async t => {
  const { clock, socket } = await desk(t)
  t.mock.method(Math, 'random', () => 1)
  for (const wait of [1000, 2000, 4000]) {
    socket().open()
    socket().receive({ t: 'uptodate', seq: '1' })
    socket().closeFrom(1013)
    assert.deepEqual(clock.waits, [wait])
    await clock.advance(wait)
  }
  socket().open()
  socket().receive('pong')
  socket().closeFrom(1012)
  assert.deepEqual(clock.waits, [500])
})

test('a server that says when it is back is not asked before', async t => {
  const { clock, socket } = await desk(t)
  t.mock.method(Math, 'random', () => 0)
  for (const [retryMs, wait] of [
    [2000, 2000],
    [1e9, 30_000],
    [-5, 250],
  ]) {
    socket().open()
    socket().receive({ t: 'gone', code: 'UNAVAILABLE', message: 'the worker restarts', retryMs })
    socket().closeFrom(1012)
    assert.deepEqual(clock.waits, [wait])
    await clock.advance(wait!)
  }
  socket().open()
  socket().closeFrom(1012)
  assert.deepEqual(clock.waits, [250], 'what it said counts once')
})

test('the bounds can be chosen', async t => {
  const { clock, refuse } = await desk(t, { minDelayMs: 10, maxDelayMs: 12 })
  refuse()
  assert.ok(clock.waits[0]! >= 10 && clock.waits[0]! <= 12)
})

test('an attempt that takes too long is given up', async t => {
  const { clock, scope, sockets } = await desk(t, { connectTimeoutMs: 3000 })
  await clock.advance(2999)
  assert.equal(scope.status, 'connecting')
  await clock.advance(1)
  assert.equal(scope.status, 'offline')
  assert.equal(scope.lastError?.code, 'TIMEOUT')
  assert.ok(sockets[0]!.isClosed)
  sockets[0]!.open()
  assert.equal(scope.status, 'offline', 'a socket that was given up says nothing more')
  await clock.advance(500)
  assert.equal(sockets.length, 2)
})

test('a socket that cannot even be made is tried again', async t => {
  const clock = new FakeClock(t)
  const { WebSocket, sockets } = fakeSockets()
  let made = 0
  class Refusing extends WebSocket {
    constructor(address: string) {
      super(address)
      if (made++ === 0) throw new Error('blocked by a policy')
    }
  }
  const scope = connect({ url: 'wss://sync.example', app: 'chat', kind: 'room', id: 'lobby', WebSocket: Refusing })
  await settled()
  assert.match(scope.lastError!.message, /blocked by a policy/)
  await clock.advance(500)
  sockets.at(-1)!.open()
  assert.equal(scope.status, 'online')
})

test('a quiet peer is asked for a sign of life, a dead one is left', async t => {
  const { clock, scope, socket, sockets } = await desk(t)
  socket().open()
  await clock.advance(14_999)
  assert.deepEqual(socket().sent, [])
  await clock.advance(1)
  assert.deepEqual(socket().sent, ['ping'])
  socket().receive('pong')
  await clock.advance(10_000 + 15_000)
  assert.deepEqual(socket().sent, ['ping', 'ping'])
  await clock.advance(9_999)
  assert.equal(scope.status, 'online')
  await clock.advance(1)
  assert.equal(scope.status, 'offline')
  assert.equal(scope.lastError?.code, 'TIMEOUT')
  await clock.advance(500)
  assert.equal(sockets.length, 2)
})

test('a peer that talks is not asked', async t => {
  const { clock, scope, socket } = await desk(t)
  socket().open()
  for (let second = 0; second < 100; second++) {
    await clock.advance(1000)
    socket().receive({ t: 'uptodate', seq: String(second) })
  }
  assert.deepEqual(socket().sent, [])
  assert.equal(scope.status, 'online')
})

test("the browser's network events are acted upon at once", async t => {
  const network = fakeNetwork(t)
  const { clock, scope, socket, sockets } = await desk(t)
  socket().open()
  network.offline()
  assert.equal(scope.status, 'offline')
  assert.equal(scope.lastError?.code, 'OFFLINE')
  assert.ok(socket().isClosed)
  network.online()
  await settled()
  assert.equal(sockets.length, 2, 'without a wait')
  socket().open()

  network.online()
  assert.deepEqual(socket().sent, ['ping'], 'an open socket may belong to the network of before')
  await clock.advance(10_000)
  assert.equal(scope.status, 'offline')
  scope.close()
  assert.equal(network.listeners(), 0)
  assert.deepEqual(clock.waits, [])
})

test('a reset that nothing follows is asked about: then a second one is a refusal', async t => {
  const { clock, scope, socket } = await desk(t)
  const diary: string[] = []
  scope.subscribe('messages', {
    onBatch: batch => diary.push(`${batch.length} rows`),
    onReset: () => diary.push('reset'),
    onError: error => diary.push(error.code),
  })
  socket().open()
  socket().receive({ t: 'snap-end', sub: 's1', seq: '1' })
  socket().receive({ t: 'reset', sub: 's1' })
  const { length } = socket().sent
  await clock.advance(4_999)
  assert.equal(socket().sent.length, length)
  await clock.advance(1)
  assert.equal(socket().sent.length, length + 1)
  socket().receive({ t: 'reset', sub: 's1' })
  assert.deepEqual(diary, ['0 rows', 'reset', 'REFUSED'])

  socket().receive({ t: 'snap', sub: 's1', key: 'a', row: { id: 'a' }, seq: '2' })
  socket().receive({ t: 'snap-end', sub: 's1', seq: '2' })
  assert.deepEqual(diary.at(-1), '1 rows', 'it was only late')
})

test('a reset whose snapshot has begun is left alone', async t => {
  const { clock, scope, socket } = await desk(t)
  scope.subscribe('messages', { onBatch: () => {} })
  socket().open()
  socket().receive({ t: 'snap-end', sub: 's1', seq: '1' })
  socket().receive({ t: 'reset' })
  socket().receive({ t: 'snap', sub: 's1', key: 'a', row: { id: 'a' }, seq: '2' })
  const { length } = socket().sent
  await clock.advance(6_000)
  assert.equal(socket().sent.length, length)
})

test('a token that comes after the scope was closed opens nothing', async t => {
  let give = (_: string) => {}
  const { scope, sockets } = await desk(t, { token: () => new Promise(resolve => (give = resolve)) })
  scope.close()
  give('late')
  await settled()
  assert.equal(sockets.length, 0)
})
