/** The client and the real server, with the board example: commands, and every type of value. */
import assert from 'node:assert/strict'
import { after, before, test, type TestContext } from 'node:test'
import { enter, newRoom, type Person } from '../lib/people.js'
import { SkerryServer } from '../lib/skerry-server.js'

let server: SkerryServer
before(async () => void (server = await SkerryServer.start('board')))
after(() => server?.remove())

function join(t: TestContext, collection: string, id = newRoom()): Person {
  return enter(t, collection, { url: server.url, app: 'board', kind: 'board', id, user: 'ann' })
}

const notes: [string, Record<string, unknown>][] = [
  ['empty', { body: null, rank: null, num: null, data: null }],
  ['small', { body: '', rank: 0.5, num: 0, data: new Uint8Array(0) }],
  ['text', { body: 'käse 🧀\n"\\\u0000end', rank: -0.1, num: -1, data: Uint8Array.of(0, 255) }],
  ['32 bits', { body: '1', rank: 1e300, num: 2 ** 32 - 1, data: new Uint8Array(70_000).fill(7) }],
  ['beyond 32 bits', { body: 'x'.repeat(70_000), rank: 2 ** 40, num: -(2 ** 40), data: null }],
  ['2^53', { body: null, rank: 3, num: Number.MAX_SAFE_INTEGER, data: null }],
]
for (const [what, columns] of notes) {
  test(`a value comes back as it went: ${what}`, async t => {
    const id = newRoom()
    const ann = join(t, 'notes', id)
    await ann.scope.mutate('notes', [{ type: 'insert', key: what, cols: columns }]).confirmed
    assert.deepEqual(plain(ann.follower.rows.get(what)!), { id: what, ...columns }, 'as a change')
    const late = join(t, 'notes', id)
    await late.follower.untilNoted('ready')
    assert.deepEqual(plain(late.follower.rows.get(what)!), { id: what, ...columns }, 'in a snapshot')
  })
}

/** Bytes as a plain Uint8Array, not as a view of their frame. */
function plain(row: object): object {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, value instanceof Uint8Array ? Uint8Array.from(value) : value]),
  )
}

test('booleans, dates and 64-bit integers are stored as numbers', async t => {
  const ann = join(t, 'notes')
  const cols = { body: 'x', num: true, rank: new Date(1_700_000_000_123) }
  await ann.scope.mutate('notes', [
    { type: 'insert', key: 'a', cols },
    { type: 'insert', key: 'b', cols: { num: 5_000_000_000n } },
  ]).confirmed
  assert.deepEqual([ann.follower.rows.get('a')!['num'], ann.follower.rows.get('a')!['rank']], [1, 1_700_000_000_123])
  assert.equal(ann.follower.rows.get('b')!['num'], 5_000_000_000)
})

test('a command returns its result, after its changes are there', async t => {
  const id = newRoom()
  const [ann, other] = [join(t, 'tasks', id), join(t, 'tasks', id)]
  await other.follower.untilNoted('ready')
  assert.equal((await ann.scope.call('seed', { from: 0, n: 300 }).confirmed).result, 300)
  assert.equal(ann.follower.rows.size, 300)
  assert.deepEqual(ann.follower.rows.get('seed-00000003'), {
    id: 'seed-00000003',
    title: 'task number 3 with a title that pads the row out',
    status: 'done',
    score: 3,
    updated_at: 1_700_000_000_003,
  })
  await other.follower.until('300 rows', () => other.follower.rows.size === 300)
  await ann.scope.call('touch', { n: 1 }).confirmed
  assert.equal(ann.follower.rows.get('seed-00000000')!['score'], 1)
  await assert.rejects(ann.scope.call('touch', { n: 'one' }).confirmed, { code: 'VALIDATION' })
  await assert.rejects(ann.scope.call('touch').confirmed, { code: 'VALIDATION' })
})

test('a snapshot of many rows comes whole', async t => {
  const id = newRoom()
  const ann = join(t, 'tasks', id)
  await ann.scope.call('seed', { from: 0, n: 5000 }).confirmed
  const late = join(t, 'tasks', id)
  await late.follower.untilNoted('ready')
  assert.equal(late.follower.rows.size, 5000)
  assert.deepEqual(late.follower.rows, ann.follower.rows)
})

test('two collections share one connection', async t => {
  const ann = join(t, 'tasks')
  const notes: string[] = []
  ann.scope.subscribe('notes', { onBatch: batch => notes.push(...batch.map(change => change.key)) })
  await ann.scope.mutate('notes', [{ type: 'insert', key: 'n1', cols: {} }]).confirmed
  await ann.scope.call('seed', { from: 0, n: 1 }).confirmed
  assert.deepEqual(notes, ['n1'])
  assert.deepEqual([...ann.follower.rows.keys()], ['seed-00000000'])
})
