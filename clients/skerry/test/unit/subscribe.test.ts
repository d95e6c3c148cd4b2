/** What a subscription shows: snapshots, boundaries, resumes, resets and refusals. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode } from '@msgpack/msgpack'
import { Follower, untilStatus } from '../lib/observe.js'
import type { MockConnection } from '../lib/mock-server.js'
import { catchThrown, stage } from '../lib/stage.js'

const row = (id: string, text = 'hi') => ({ id, text })
const snap = (sub: string, id: string, text?: string) => ({ t: 'snap', sub, key: id, row: row(id, text), seq: '10' })
const upsert = (sub: string, id: string, seq: string, text?: string) => {
  return { t: 'd', sub, key: id, op: 'update', cols: row(id, text), seq }
}

/** Answers the next `sub` with a snapshot of these rows at seq 10; returns its id. */
async function serveSnapshot(connection: MockConnection, ...ids: string[]): Promise<string> {
  const { subId, since } = await connection.frame('sub')
  assert.equal(since, undefined)
  connection.send(...ids.map(id => snap(subId, id)), { t: 'snap-end', sub: subId, seq: '10' })
  return subId
}

test('rows appear at the end of the snapshot, changes at their boundary', async t => {
  const { server, scope } = await stage(t)
  const messages = new Follower(scope, 'messages')
  const connection = await server.connection()
  const { subId } = await connection.frame('sub')
  connection.send(snap(subId, 'a'), snap(subId, 'b'), snap('no-such-sub', 'x'), { t: 'a-frame-of-the-future' })
  connection.sendRaw('pong')
  connection.send({ t: 'snap-end', sub: subId, seq: '10' })
  await messages.untilNoted('ready')
  assert.deepEqual(messages.diary, ['snapshot a b', 'ready'])

  connection.send(upsert(subId, 'c', '11'), { t: 'd', sub: subId, key: 'a', op: 'delete', seq: '12', cols: null })
  connection.send({ t: 'uptodate', seq: '12' })
  await messages.untilNoted('batch +c -a')
  assert.deepEqual(
    [...messages.rows],
    [
      ['b', row('b')],
      ['c', row('c')],
    ],
  )
})

test('an empty collection is ready too', async t => {
  const { server, scope } = await stage(t)
  const messages = new Follower(scope, 'messages')
  await serveSnapshot(await server.connection())
  await messages.untilNoted('ready')
  assert.deepEqual(messages.diary, ['snapshot', 'ready'])
})

test('a resume starts at the cursor, and what no boundary had committed comes again', async t => {
  const { server, scope } = await stage(t)
  const messages = new Follower(scope, 'messages')
  const first = await server.connection()
  const subId = await serveSnapshot(first, 'a')
  first.send(upsert(subId, 'b', '9007199254740993'), { t: 'uptodate', seq: '9007199254740993' })
  await messages.untilNoted('batch +b')
  first.send(upsert(subId, 'lost', '9007199254740994'))
  await first.drop()

  const second = await server.connection()
  assert.deepEqual(await second.frame('sub'), { t: 'sub', subId, collection: 'messages', since: '9007199254740993' })
  second.send(upsert(subId, 'c', '9007199254740995'), { t: 'uptodate', seq: '9007199254740995', sub: subId })
  await messages.untilNoted('batch +c')
  assert.deepEqual(messages.diary, ['snapshot a', 'ready', 'batch +b', 'batch +c', 'ready'])
})

test('a snapshot that was cut off begins anew, and none of its first rows stay', async t => {
  const { server, scope } = await stage(t)
  const messages = new Follower(scope, 'messages')
  const first = await server.connection()
  const { subId } = await first.frame('sub')
  first.send(snap(subId, 'gone'))
  await first.drop()
  await serveSnapshot(await server.connection(), 'a')
  await messages.untilNoted('ready')
  assert.deepEqual(messages.diary, ['snapshot a', 'ready'])
})

test('only a complete subscription resumes', async t => {
  const { server, scope } = await stage(t)
  const messages = new Follower(scope, 'messages')
  const pins = new Follower(scope, 'pins')
  const first = await server.connection()
  const messagesId = await serveSnapshot(first, 'a')
  const { subId: pinsId } = await first.frame('sub')
  await messages.untilNoted('ready')
  await first.drop()

  const second = await server.connection()
  assert.equal((await second.frame('sub'))['since'], '10')
  assert.equal((await second.frame('sub'))['since'], undefined)
  // The whole resume has one boundary: until it is over, boundaries carry the old cursor.
  second.send({ t: 'uptodate', seq: '10', sub: messagesId }, snap(pinsId, 'p'), {
    t: 'snap-end',
    sub: pinsId,
    seq: '10',
  })
  await pins.untilNoted('ready')
  await second.drop()

  const third = await server.connection()
  assert.equal((await third.frame('sub'))['since'], '10')
  assert.equal((await third.frame('sub'))['since'], '10')
})

test('a boundary in the middle of a resume does not speak for who has not caught up', async t => {
  const { server, scope } = await stage(t)
  const messages = new Follower(scope, 'messages')
  const pins = new Follower(scope, 'pins')
  const first = await server.connection()
  await serveSnapshot(first, 'a')
  await serveSnapshot(first, 'p')
  await pins.untilNoted('ready')
  await first.drop()

  const second = await server.connection()
  const { subId } = await second.frame('sub')
  await second.frame('sub')
  second.send({ t: 'uptodate', seq: '10', sub: subId }, { t: 'uptodate', seq: '50' }, upsert(subId, 'b', '51'), {
    t: 'uptodate',
    seq: '51',
  })
  await messages.untilNoted('batch +b')
  await second.drop()

  const third = await server.connection()
  assert.equal((await third.frame('sub'))['since'], '51')
  assert.equal((await third.frame('sub'))['since'], '10')
})

test('a boundary commits what all subscriptions have gathered', async t => {
  const { server, scope } = await stage(t)
  const messages = new Follower(scope, 'messages')
  const first = await server.connection()
  const messagesId = await serveSnapshot(first, 'a')
  const pins = new Follower(scope, 'pins')
  const { subId: pinsId } = await first.frame('sub')
  first.send(upsert(messagesId, 'b', '11'), snap(pinsId, 'p'), { t: 'snap-end', sub: pinsId, seq: '11' })
  await pins.untilNoted('ready')
  assert.ok(messages.rows.has('b'))
  await first.drop()
  assert.equal((await (await server.connection()).frame('sub'))['since'], '11')
})

test('a reset keeps the rows until its snapshot is complete', async t => {
  const { server, scope } = await stage(t)
  const messages = new Follower(scope, 'messages')
  const connection = await server.connection()
  const subId = await serveSnapshot(connection, 'a', 'b')
  await messages.untilNoted('ready')

  connection.send({ t: 'reset', sub: subId }, snap(subId, 'b', 'new'), { t: 'uptodate', seq: '10' })
  await messages.untilNoted('reset')
  assert.deepEqual([...messages.rows.keys()], ['a', 'b'])
  connection.send({ t: 'reset' }, snap(subId, 'c'), { t: 'snap-end', sub: subId, seq: '20' })
  await messages.untilNoted('snapshot c')
  assert.deepEqual(messages.diary.slice(2), ['reset', 'reset', 'snapshot c', 'ready'])
})

test('a resume that is answered with a reset takes the snapshot that follows', async t => {
  const { server, scope } = await stage(t)
  const messages = new Follower(scope, 'messages')
  const first = await server.connection()
  const subId = await serveSnapshot(first, 'a')
  await messages.untilNoted('ready')
  await first.drop()

  const second = await server.connection()
  assert.equal((await second.frame('sub'))['since'], '10')
  second.send({ t: 'reset', sub: subId }, snap(subId, 'z'), { t: 'snap-end', sub: subId, seq: '10' })
  // The log may have begun anew below the old cursor: the last word of the resume counts.
  second.send({ t: 'uptodate', seq: '7' })
  await messages.untilNoted('snapshot z')
  await second.drop()
  assert.equal((await (await server.connection()).frame('sub'))['since'], '7')
})

test('a reset that a disconnection follows does not resume: it asks for everything', async t => {
  const { server, scope } = await stage(t)
  const messages = new Follower(scope, 'messages')
  const first = await server.connection()
  const subId = await serveSnapshot(first, 'a')
  first.send({ t: 'reset' }, snap(subId, 'half'))
  await messages.untilNoted('reset')
  await first.drop()
  await serveSnapshot(await server.connection(), 'b')
  await messages.untilNoted('snapshot b')
  assert.deepEqual([...messages.rows.keys()], ['b'])
})

test('a reset before the first snapshot is a refusal, asked again at the next connection', async t => {
  const { server, scope } = await stage(t)
  const secrets = new Follower(scope, 'secrets')
  const messages = new Follower(scope, 'messages')
  const first = await server.connection()
  first.send({ t: 'reset', sub: (await first.frame('sub'))['subId'] })
  await secrets.untilNoted('error REFUSED')
  await serveSnapshot(first, 'a')
  await messages.untilNoted('ready')
  await first.drop()

  const second = await server.connection()
  await serveSnapshot(second, 's')
  await secrets.untilNoted('ready')
  assert.deepEqual(secrets.diary, ['error REFUSED', 'snapshot s', 'ready'])
})

test('an ended subscription is told to the server and hears nothing more', async t => {
  const { server, scope } = await stage(t)
  const messages = new Follower(scope, 'messages')
  const connection = await server.connection()
  const subId = await serveSnapshot(connection, 'a')
  await messages.untilNoted('ready')
  messages.subscription.close()
  messages.subscription.close()
  assert.deepEqual(await connection.frame('unsub'), { t: 'unsub', subId })

  const again = new Follower(scope, 'messages')
  const { subId: newId } = await connection.frame('sub')
  assert.notEqual(newId, subId)
  connection.send(
    upsert(subId, 'late', '11'),
    { t: 'snap-end', sub: subId, seq: '11' },
    { t: 'snap-end', sub: newId, seq: '11' },
  )
  await again.untilNoted('ready')
  assert.deepEqual(messages.diary, ['snapshot a', 'ready'])
})

test('a handler may end its own subscription, or the scope', async t => {
  const { server, scope } = await stage(t)
  const other = new Follower(scope, 'pins')
  const subscription = scope.subscribe('messages', {
    onBatch: () => scope.close(),
    onReady: () => assert.fail('ended'),
  })
  const connection = await server.connection()
  const { subId: otherId } = await connection.frame('sub')
  const { subId } = await connection.frame('sub')
  connection.send({ t: 'snap-end', sub: otherId, seq: '1' }, { t: 'snap-end', sub: subId, seq: '1' })
  await other.untilNoted('error CLOSED')
  subscription.close()
  assert.equal(scope.status, 'closed')
})

const noFrames: [string, Uint8Array][] = [
  ['no map', encode(['snap'])],
  ['a snap without its row', encode({ t: 'snap', sub: 's1', key: 'a', seq: '1' })],
  ['a seq that is a number', encode({ t: 'uptodate', seq: 12 })],
  ['bytes after the frame', Uint8Array.of(...encode({ t: 'uptodate', seq: '12' }), 0xc0)],
  ['half a frame', encode({ t: 'uptodate', seq: '12' }).subarray(0, 8)],
]
for (const [what, bytes] of noFrames) {
  test(`${what} ends the connection: from the cursor on, nothing is missed`, async t => {
    const { server, scope } = await stage(t)
    const messages = new Follower(scope, 'messages')
    const first = await server.connection()
    await serveSnapshot(first, 'a')
    await messages.untilNoted('ready')
    first.sendRaw(bytes)
    await untilStatus(scope, 'offline')
    assert.equal(scope.lastError?.code, 'PROTOCOL')
    assert.equal((await (await server.connection()).frame('sub'))['since'], '10')
  })
}

test('what a handler throws reaches the application, and the rest goes on', async t => {
  const { server, scope } = await stage(t)
  const thrown = catchThrown(t)
  scope.subscribe('messages', {
    onBatch: () => {
      throw new Error('a mistake in the application')
    },
  })
  const pins = new Follower(scope, 'pins')
  const connection = await server.connection()
  await serveSnapshot(connection, 'a')
  await serveSnapshot(connection, 'p')
  await pins.untilNoted('ready')
  assert.match(String(thrown), /a mistake in the application/)
})
