/** Transactions: what goes out, what comes back, and that a disconnection neither loses nor changes one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Follower, untilPending, untilStatus } from '../lib/observe.js'
import { stage } from '../lib/stage.js'

const insert = (key: string, cols: object = { text: 'hi' }) => [{ type: 'insert' as const, key, cols }]

test('a mutation goes out at once and is confirmed after its own change is there', async t => {
  const { server, scope } = await stage(t)
  const messages = new Follower(scope, 'messages')
  const connection = await server.connection()
  const { subId } = await connection.frame('sub')
  connection.send({ t: 'snap-end', sub: subId, seq: '1' })

  const { txId, confirmed } = scope.mutate('messages', [
    { type: 'insert', key: 'a', cols: { text: 'hi', meta: undefined } },
    { type: 'update', key: 'b', cols: { text: null } },
    { type: 'delete', key: 'c' },
  ])
  assert.equal(scope.pending, 1)
  assert.match(txId, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.deepEqual(await connection.frame('mut'), {
    t: 'mut',
    txId,
    collection: 'messages',
    ops: [
      { type: 'insert', key: 'a', cols: { text: 'hi' } },
      { type: 'update', key: 'b', cols: { text: null } },
      { type: 'delete', key: 'c' },
    ],
  })
  connection.send(
    { t: 'd', sub: subId, key: 'a', op: 'insert', cols: { id: 'a', text: 'hi' }, seq: '2' },
    { t: 'uptodate', seq: '4' },
    { t: 'committed', txId, seq: '4' },
  )
  assert.deepEqual(await confirmed, { seq: '4', result: null })
  assert.ok(messages.rows.has('a'))
  assert.equal(scope.pending, 0)
})

test('a command returns its result', async t => {
  const { server, scope } = await stage(t)
  const connection = await server.connection()
  await untilStatus(scope, 'online')
  const pin = scope.call('pin', { id: 'm1' })
  assert.deepEqual(await connection.frame('call'), { t: 'call', txId: pin.txId, name: 'pin', args: { id: 'm1' } })
  const bare = scope.call('sweep')
  assert.equal((await connection.frame('call'))['args'], null)
  connection.send({ t: 'committed', txId: pin.txId, seq: '5', result: [{ pinned: 3 }] })
  connection.send({ t: 'committed', txId: bare.txId, seq: '6', result: null })
  assert.deepEqual(await pin.confirmed, { seq: '5', result: [{ pinned: 3 }] })
  assert.deepEqual(await bare.confirmed, { seq: '6', result: null })
})

test('a rejection carries code and message, and moves nothing', async t => {
  const { server, scope } = await stage(t)
  const connection = await server.connection()
  await untilStatus(scope, 'online')
  const first = scope.mutate('messages', insert('a'))
  const second = scope.mutate('messages', insert('b'))
  connection.send(
    { t: 'rejected', txId: first.txId, error: { code: 'CONSTRAINT', message: 'text too long' } },
    { t: 'rejected', txId: second.txId, error: { code: null, message: "no mutation handler for 'messages:insert'" } },
  )
  await assert.rejects(first.confirmed, { name: 'SkerryError', code: 'CONSTRAINT', message: 'text too long' })
  await assert.rejects(second.confirmed, { code: 'REJECTED', message: "no mutation handler for 'messages:insert'" })
  assert.equal(scope.pending, 0)
})

test('what was not answered goes out again, unchanged and in order, after the subscriptions', async t => {
  const { server, scope } = await stage(t)
  new Follower(scope, 'messages')
  const cols = { text: 'before' }
  const made = ['a', 'b', 'c'].map(key => scope.mutate('messages', insert(key, cols)))
  cols.text = 'after'
  const first = await server.connection()
  await first.frame('sub')
  const sent = [await first.frame('mut'), await first.frame('mut'), await first.frame('mut')]
  assert.deepEqual(
    sent.map(frame => frame['ops'][0]),
    ['a', 'b', 'c'].map(key => insert(key, { text: 'before' })[0]),
  )
  first.send({ t: 'committed', txId: made[1]!.txId, seq: '1' })
  await made[1]!.confirmed
  await first.drop()
  await untilStatus(scope, 'offline')
  scope.call('late')

  const second = await server.connection()
  await second.frame('sub')
  assert.deepEqual(await second.frame('mut'), sent[0])
  assert.deepEqual(await second.frame('mut'), sent[2])
  assert.equal((await second.frame('call'))['name'], 'late')
  await untilStatus(scope, 'online')
  assert.equal(scope.pending, 3)
})

test('an answer to nothing, or a second answer, changes nothing', async t => {
  const { server, scope } = await stage(t)
  const connection = await server.connection()
  const counts: number[] = []
  scope.onPending(count => counts.push(count))
  const { txId, confirmed } = scope.mutate('messages', insert('a'))
  const { txId: last } = scope.mutate('messages', insert('b'))
  connection.send({ t: 'committed', txId: 'unknown', seq: '1' }, { t: 'committed', txId, seq: '2' })
  connection.send({ t: 'committed', txId, seq: '3' }, { t: 'rejected', txId, error: { message: 'no' } })
  connection.send({ t: 'committed', txId: last, seq: '4' })
  await untilPending(scope, 0)
  assert.equal((await confirmed).seq, '2')
  assert.deepEqual(counts, [1, 2, 1, 0])
})

test('a replayed answer of long ago does not take the cursor back', async t => {
  const { server, scope } = await stage(t)
  const messages = new Follower(scope, 'messages')
  const first = await server.connection()
  first.send({ t: 'snap-end', sub: (await first.frame('sub'))['subId'], seq: '100' })
  await messages.untilNoted('ready')
  const { txId, confirmed } = scope.mutate('messages', insert('a'), { txId: 'from-my-own-store' })
  assert.equal(txId, 'from-my-own-store')
  first.send({ t: 'committed', txId, seq: '7' })
  await confirmed
  await first.drop()
  assert.equal((await (await server.connection()).frame('sub'))['since'], '100')
})

test('a confirmation moves the cursor', async t => {
  const { server, scope } = await stage(t)
  const messages = new Follower(scope, 'messages')
  const first = await server.connection()
  first.send({ t: 'snap-end', sub: (await first.frame('sub'))['subId'], seq: '9' })
  await messages.untilNoted('ready')
  const { txId, confirmed } = scope.call('elsewhere')
  first.send({ t: 'committed', txId, seq: '10' })
  await confirmed
  await first.drop()
  assert.equal((await (await server.connection()).frame('sub'))['since'], '10')
})

test('half an emoji is sent as text that a server can read', async t => {
  const { server, scope } = await stage(t)
  const connection = await server.connection()
  scope.mutate('messages', insert('a', { text: '👋'.slice(0, 1), whole: '👋' }))
  assert.deepEqual((await connection.frame('mut'))['ops'][0].cols, { text: '\ufffd', whole: '👋' })
})

const loop: Record<string, unknown> = {}
loop['self'] = loop
const wrong: [string, () => [string, any, any?], string, RegExp][] = [
  ['no collection', () => ['', insert('a')], 'INVALID', /collection must be a string of 1 to 128 bytes/],
  ['a name of 129 bytes', () => ['x'.repeat(129), insert('a')], 'INVALID', /1 to 128 bytes/],
  ['no operations', () => ['messages', []], 'INVALID', /non-empty array/],
  ['a key that is no string', () => ['messages', [{ type: 'delete', key: 7 }]], 'INVALID', /ops\[0\]\.key .* not 7/],
  ['an unknown type', () => ['messages', [{ type: 'upsert', key: 'a', cols: {} }]], 'INVALID', /ops\[0\]\.type/],
  ['an insert without columns', () => ['messages', [{ type: 'insert', key: 'a' }]], 'INVALID', /ops\[0\]\.cols/],
  ['a function as a value', () => ['messages', insert('a', { text: () => 1 })], 'INVALID', /cannot be sent/],
  ['a value without end', () => ['messages', insert('a', { loop })], 'INVALID', /cannot be sent: nested deeper/],
  ['a transaction id of nothing', () => ['messages', insert('a'), { txId: '' }], 'INVALID', /txId/],
  ['what is too large', () => ['messages', insert('a', { text: 'x'.repeat(1 << 20) })], 'FRAME_TOO_LARGE', /split it/],
]
for (const [what, args, code, message] of wrong) {
  test(`a server would not answer ${what}, so it is rejected here`, async t => {
    const { server, scope } = await stage(t)
    const connection = await server.connection()
    await untilStatus(scope, 'online')
    await assert.rejects(scope.mutate(...args()).confirmed, { name: 'SkerryError', code, message })
    assert.equal(scope.pending, 0)
    const { txId } = scope.call('next')
    assert.equal((await connection.frame('call'))['txId'], txId)
  })
}

test('the same id cannot be on its way twice', async t => {
  const { scope } = await stage(t)
  scope.call('pin', null, { txId: 'mine' })
  await assert.rejects(scope.call('pin', null, { txId: 'mine' }).confirmed, {
    code: 'INVALID',
    message: /already on its way/,
  })
  assert.equal(scope.pending, 1)
})
