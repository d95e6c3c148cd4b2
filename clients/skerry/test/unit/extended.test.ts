/** The extended contract: asking for it, what it tells first, and transactions that the server puts off. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from 'skerry'
import { FakeClock, fakeSockets, settled, type FakeSocket } from '../lib/fake.js'
import { MockServer, type Frame } from '../lib/mock-server.js'
import { Follower, untilPending, untilStatus } from '../lib/observe.js'
import { quick, room, stage } from '../lib/stage.js'

const insert = (key: string) => [{ type: 'insert' as const, key, cols: { text: 'hi' } }]
const full = (txId: string, retryMs = 20): Frame => {
  return { t: 'rejected', txId, error: { code: 'STORAGE_FULL', message: 'the disk is full' }, retryMs }
}
const hello = {
  server: '0.1.0',
  session: '7',
  head: '9',
  floor: '1',
  schema: 2,
  types: { messages: { id: 'text', text: 'text' } },
  limits: { frame: 1_048_576, ops: 128, subs: 256, depth: 64, frames_per_second: 200 },
  receipts: 2_592_000,
}

test('a server that knows only the base contract is spoken to in it', async t => {
  const server = await MockServer.start({ base: true })
  const scope = connect({ url: server.url, ...room, ...quick, minDelayMs: 20_000, maxDelayMs: 20_000 })
  t.after(async () => {
    scope.close()
    await server.stop()
  })
  const messages = new Follower(scope, 'messages')
  const connection = await server.connection()
  connection.send({ t: 'snap-end', sub: (await connection.frame('sub'))['subId'], seq: '1' })
  await messages.untilNoted('ready')
  assert.equal(scope.hello, undefined)
})

test('once a server has chosen the extended contract, no failure is taken for a refusal of it', async t => {
  const clock = new FakeClock(t)
  const { WebSocket, sockets } = fakeSockets()
  const scope = connect({ url: 'wss://sync.example', ...room, WebSocket })
  await settled()
  Object.assign(sockets[0]!, { protocol: 'skerry.v1' }).open()
  sockets[0]!.closeFrom(1012)
  await clock.advance(500)
  sockets[1]!.closeFrom(1006)
  assert.equal(scope.status, 'offline')
  await clock.advance(1000)
  assert.deepEqual(
    sockets.map(socket => socket.protocols),
    [['skerry.v1'], ['skerry.v1'], ['skerry.v1']],
  )
})

test('what the server says first can be read for as long as the connection lives', async t => {
  const { server, scope } = await stage(t)
  const messages = new Follower(scope, 'messages')
  const connection = await server.connection()
  connection.send({ t: 'hello', ...hello }, { t: 'snap-end', sub: (await connection.frame('sub'))['subId'], seq: '9' })
  await messages.untilNoted('ready')
  assert.deepEqual(scope.hello, hello)
  await connection.drop()
  await untilStatus(scope, 'offline')
  assert.equal(scope.hello, undefined)
})

test('what was put off is kept and tried again, alone, and what is behind it follows in order', async t => {
  const { server, scope } = await stage(t)
  const connection = await server.connection()
  await untilStatus(scope, 'online')
  const reasons: (string | undefined)[] = []
  scope.onWaiting(why => reasons.push(why?.code))
  const [a, b] = [scope.mutate('messages', insert('a')), scope.mutate('messages', insert('b'))]
  const sent = [await connection.frame('mut'), await connection.frame('mut')]
  connection.send(full(a.txId), full(b.txId))
  assert.deepEqual(await connection.frame('mut'), sent[0], 'only the first is tried')
  assert.equal(scope.waiting?.message, 'the disk is full')
  const c = scope.call('late')
  connection.send(full(a.txId))
  assert.deepEqual(await connection.frame('mut'), sent[0], 'and again')
  assert.equal(scope.pending, 3)
  assert.equal(scope.status, 'online')

  connection.send({ t: 'committed', txId: a.txId, seq: '5' })
  assert.deepEqual(await connection.frame('mut'), sent[1])
  assert.equal((await connection.frame('call'))['txId'], c.txId)
  assert.equal((await a.confirmed).seq, '5')
  assert.equal(scope.waiting, undefined)
  connection.send({ t: 'committed', txId: b.txId, seq: '6' }, { t: 'committed', txId: c.txId, seq: '7' })
  await untilPending(scope, 0)
  assert.deepEqual(reasons, ['STORAGE_FULL', undefined])
})

test('a decision of no ends the waiting too', async t => {
  const { server, scope } = await stage(t)
  const connection = await server.connection()
  const [a, b] = [scope.mutate('messages', insert('a')), scope.mutate('messages', insert('b'))]
  for (const { txId } of [a, b]) assert.equal((await connection.frame('mut'))['txId'], txId)
  connection.send(full(a.txId), full(b.txId))
  await connection.frame('mut')
  connection.send({ t: 'rejected', txId: a.txId, error: { code: 'CONSTRAINT', message: 'no' }, seq: '5' })
  await assert.rejects(a.confirmed, { code: 'CONSTRAINT' })
  assert.equal((await connection.frame('mut'))['txId'], b.txId)
  connection.send({ t: 'committed', txId: b.txId, seq: '6' })
  await b.confirmed
})

test('a new connection does not wait: everything is sent again, in order', async t => {
  const { server, scope } = await stage(t)
  const first = await server.connection()
  const made = ['a', 'b'].map(key => scope.mutate('messages', insert(key)))
  for (const { txId } of made) assert.equal((await first.frame('mut'))['txId'], txId)
  first.send(full(made[0]!.txId, 10_000))
  await new Promise<void>(resolve => scope.onWaiting(() => resolve()))
  await first.drop()
  await untilStatus(scope, 'offline')
  assert.equal(scope.waiting, undefined)
  const second = await server.connection()
  for (const { txId } of made) assert.equal((await second.frame('mut'))['txId'], txId)
})

test('a scope that is closed tries nothing again', async t => {
  const { clock, scope, socket } = await fakeDesk(t)
  const { txId, confirmed } = scope.call('late')
  socket.receive(full(txId))
  assert.equal(scope.waiting?.code, 'STORAGE_FULL')
  scope.close()
  await assert.rejects(confirmed, { code: 'CLOSED' })
  assert.equal(scope.waiting, undefined)
  assert.deepEqual(clock.waits, [])
})

test('the server chooses the wait, within bounds, and clients do not return as one', async t => {
  const { clock, scope, socket } = await fakeDesk(t)
  const { txId } = scope.call('late')
  for (const [random, retryMs, wait] of [
    [0, 1000, 1000],
    [1, 1000, 1500],
    [0, 0, 10],
    [0, 1e9, 30_000],
  ]) {
    t.mock.method(Math, 'random', () => random)
    socket.receive(full(txId, retryMs))
    assert.equal(
      clock.waits.find(ms => ms !== 15_000),
      wait,
    )
  }
})

async function fakeDesk(t: Parameters<typeof stage>[0]): Promise<{
  clock: FakeClock
  scope: ReturnType<typeof connect>
  socket: FakeSocket
}> {
  const clock = new FakeClock(t)
  const { WebSocket, sockets } = fakeSockets()
  const scope = connect({ url: 'wss://sync.example', ...room, WebSocket })
  await settled()
  sockets[0]!.open()
  return { clock, scope, socket: sockets[0]! }
}
