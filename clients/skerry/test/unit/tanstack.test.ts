/** A collection of TanStack DB: shown at once, confirmed without a flicker, rolled back when refused. */
import assert from 'node:assert/strict'
import { webcrypto } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { createCollection, createTransaction, type Collection, type StandardSchema } from '@tanstack/db'
import type { Scope } from 'skerry'
import { skerryCollectionOptions, type SkerryCollectionConfig } from 'skerry/tanstack'
import { patiently, type MockConnection, type MockServer } from '../lib/mock-server.js'
import { catchThrown, stage } from '../lib/stage.js'

// TanStack DB wants a global crypto, which Node has from 19 on.
;(globalThis as { crypto?: unknown }).crypto ??= webcrypto

interface Message {
  id: string
  text: string
  author?: string | null
  edited_at?: number | null
}
type Messages = Collection<Message, string, any, any, any>

const message = (id: string, text = 'hi', author = 'ann'): Message => ({ id, text, author })

/** Without its initial state a subscriber is not told that a row of it has gone. */
function onChange(messages: Messages, look: () => void): void {
  messages.subscribeChanges(look, { includeInitialState: true })
}

/** Everything a reader of the collection is shown, as `a:hi b:hi`, one entry per change of what is shown. */
function watch(messages: Messages): string[] {
  const show = () =>
    [...messages.values()]
      .map(({ id, text }) => `${id}:${text}`)
      .sort()
      .join(' ')
  const shown = [show()]
  onChange(messages, () => {
    if (shown.at(-1) !== show()) shown.push(show())
  })
  return shown
}

interface Theatre {
  server: MockServer
  connection: MockConnection
  messages: Messages
  subId: string
  shown: string[]
  /** Waits until this is what is shown. */
  untilShown: (what: string) => Promise<void>
}

/** A collection that is ready, with these rows at seq 10. */
async function theatre(
  t: TestContext,
  rows: Message[] = [],
  config: Partial<SkerryCollectionConfig<Message>> = {},
): Promise<Theatre> {
  const { server, scope } = await stage(t)
  const messages = createCollection(skerryCollectionOptions<Message>({ ...config, scope, collection: 'messages' }))
  const loaded = messages.preload()
  const connection = await server.connection()
  const { subId } = await connection.frame('sub')
  connection.send(...rows.map(row => ({ t: 'snap', sub: subId, key: row.id, row, seq: '10' })))
  connection.send({ t: 'snap-end', sub: subId, seq: '10' })
  await patiently('the first rows', loaded)
  const shown = watch(messages)
  const untilShown = (what: string) =>
    patiently(
      `'${what}' shown`,
      new Promise<void>(resolve => {
        const look = () => void (shown.at(-1) === what && resolve())
        onChange(messages, look)
        look()
      }),
    )
  return { server, connection, messages, subId, shown, untilShown }
}

const delta = (sub: string, row: Message, seq: string) => ({ t: 'd', sub, key: row.id, op: 'update', cols: row, seq })

test('an insert is shown at once, and confirmed without a flicker', async t => {
  const { connection, messages, subId, shown } = await theatre(t, [message('a')])
  const tx = messages.insert(message('b', 'hello'))
  assert.deepEqual(shown, ['a:hi', 'a:hi b:hello'])
  assert.equal(messages.get('b')!.$synced, false)
  const { txId, ops } = await connection.frame('mut')
  assert.deepEqual(ops, [{ type: 'insert', key: 'b', cols: message('b', 'hello') }])

  connection.send(
    delta(subId, message('b', 'hello'), '11'),
    { t: 'uptodate', seq: '11' },
    { t: 'committed', txId, seq: '11' },
  )
  await tx.when('settled')
  assert.equal(messages.get('b')!.$synced, true)
  assert.deepEqual(shown, ['a:hi', 'a:hi b:hello'])
})

test('transactions that overlap are confirmed one by one, and none flickers', async t => {
  const { connection, messages, subId, shown } = await theatre(t)
  const made = ['a', 'b', 'c'].map(id => messages.insert(message(id)))
  const sent = [await connection.frame('mut'), await connection.frame('mut'), await connection.frame('mut')]
  for (const [index, { txId, ops }] of sent.entries()) {
    const seq = String(11 + index)
    connection.send(delta(subId, ops[0].cols, seq), { t: 'uptodate', seq }, { t: 'committed', txId, seq })
    await made[index]!.when('settled')
  }
  assert.deepEqual(shown, ['', 'a:hi', 'a:hi b:hi', 'a:hi b:hi c:hi'])
})

test('what the server made of it replaces what was guessed', async t => {
  const { connection, messages, subId, untilShown, shown } = await theatre(t)
  messages.insert(message('a', 'darn'))
  const { txId } = await connection.frame('mut')
  connection.send(
    delta(subId, message('a', '****'), '11'),
    { t: 'uptodate', seq: '11' },
    { t: 'committed', txId, seq: '11' },
  )
  await untilShown('a:****')
  assert.deepEqual(shown, ['', 'a:darn', 'a:****'])
})

test('an update sends the columns that changed; undefined is NULL', async t => {
  const { connection, messages } = await theatre(t, [{ ...message('a'), edited_at: 5 }])
  messages.update('a', draft => {
    draft.text = 'new'
    draft.edited_at = undefined
  })
  assert.deepEqual((await connection.frame('mut'))['ops'], [
    { type: 'update', key: 'a', cols: { text: 'new', edited_at: null } },
  ])
})

test('only the columns that a client may write are sent', async t => {
  const { connection, messages } = await theatre(t, [], { columns: ['id', 'text'] })
  messages.insert({ ...message('a'), edited_at: null })
  assert.deepEqual((await connection.frame('mut'))['ops'], [
    { type: 'insert', key: 'a', cols: { id: 'a', text: 'hi' } },
  ])
})

test("a copied row does not take TanStack's own properties along", async t => {
  const { connection, messages } = await theatre(t, [message('a')])
  messages.insert({ ...messages.get('a')!, id: 'b' })
  assert.deepEqual((await connection.frame('mut'))['ops'], [{ type: 'insert', key: 'b', cols: message('b') }])
})

test('a rejection rolls back, and says why', async t => {
  const { connection, messages, shown } = await theatre(t, [message('a')])
  const insert = messages.insert(message('b'))
  const remove = messages.delete('a')
  const update = messages.insert(message('c'))
  assert.equal(shown.at(-1), 'b:hi c:hi')
  const [first, second, third] = [
    await connection.frame('mut'),
    await connection.frame('mut'),
    await connection.frame('mut'),
  ]
  assert.deepEqual(second['ops'], [{ type: 'delete', key: 'a' }])
  connection.send(
    { t: 'rejected', txId: first['txId'], error: { code: 'CONSTRAINT', message: 'too long' } },
    { t: 'rejected', txId: second['txId'], error: { code: 'FORBIDDEN', message: 'not yours' } },
    { t: 'rejected', txId: third['txId'], error: { message: 'no mutation handler' } },
  )
  await assert.rejects(insert.when('settled'), { name: 'SkerryError', code: 'CONSTRAINT', message: 'too long' })
  await assert.rejects(remove.when('settled'), { code: 'FORBIDDEN' })
  await assert.rejects(update.when('settled'), { code: 'REJECTED' })
  assert.equal(shown.at(-1), 'a:hi')
})

test('one TanStack transaction is one transaction of the server', async t => {
  const { connection, messages, subId, shown } = await theatre(t, [message('a'), message('b')])
  const tx = createTransaction({ mutationFn: ({ transaction }) => messages.utils.send(transaction) })
  tx.mutate(() => {
    messages.insert([message('c'), message('d')])
    messages.update('a', draft => void (draft.text = 'new'))
    messages.delete('b')
  })
  const { txId, ops } = await connection.frame('mut')
  assert.deepEqual(
    ops.map((op: any) => [op.type, op.key]),
    [
      ['insert', 'c'],
      ['insert', 'd'],
      ['update', 'a'],
      ['delete', 'b'],
    ],
  )
  connection.send(
    ...[message('c'), message('d'), message('a', 'new')].map(row => delta(subId, row, '12')),
    { t: 'd', sub: subId, key: 'b', op: 'delete', seq: '14' },
    { t: 'uptodate', seq: '14' },
    { t: 'committed', txId, seq: '14' },
  )
  await tx.when('settled')
  assert.equal(shown.at(-1), 'a:new c:hi d:hi')
  assert.equal(connection.unread, 0)
})

test('two collections share a connection, and a transaction over both sends to each its own', async t => {
  const { server, scope } = await stage(t)
  const open = (collection: string) =>
    createCollection(skerryCollectionOptions<Message>({ scope, collection, startSync: true }))
  const messages = open('messages')
  const pins = open('pins')
  const connection = await server.connection()
  await connection.frame('sub')
  await connection.frame('sub')
  const transaction = createTransaction<Message>({
    mutationFn: ({ transaction }) => Promise.all([messages.utils.send(transaction), pins.utils.send(transaction)]),
  })
  transaction.mutate(() => {
    messages.insert(message('m'))
    pins.insert(message('p'))
  })
  const sent = [await connection.frame('mut'), await connection.frame('mut')]
  assert.deepEqual(
    sent.map(frame => [frame['collection'], frame['ops'][0].key]),
    [
      ['messages', 'm'],
      ['pins', 'p'],
    ],
  )
})

test('typed while the server was away: there at once, and confirmed when it is back', async t => {
  const { server, connection, messages, subId, shown } = await theatre(t, [message('a')])
  await connection.drop()
  const made = [messages.insert(message('b')), messages.insert(message('c'))]
  assert.equal(shown.at(-1), 'a:hi b:hi c:hi')
  const again = await server.connection()
  assert.equal((await again.frame('sub'))['since'], '10')
  const sent = [await again.frame('mut'), await again.frame('mut')]
  again.send({ t: 'uptodate', seq: '10', sub: subId })
  sent.forEach(({ txId, ops }, index) => {
    const seq = String(11 + index)
    again.send(delta(subId, ops[0].cols, seq), { t: 'uptodate', seq }, { t: 'committed', txId, seq })
  })
  for (const tx of made) await tx.when('settled')
  assert.deepEqual(shown, ['a:hi', 'a:hi b:hi', 'a:hi b:hi c:hi'])
})

test('a reset replaces the rows without ever showing fewer', async t => {
  const { connection, messages, subId, shown, untilShown } = await theatre(t, [message('a'), message('b')])
  const changes: string[] = []
  messages.subscribeChanges(batch => changes.push(...batch.map(({ type, key }) => `${type} ${key}`)), {
    includeInitialState: true,
  })
  connection.send({ t: 'reset', sub: subId })
  for (const row of [message('b'), message('c')])
    connection.send({ t: 'snap', sub: subId, key: row.id, row, seq: '20' })
  connection.send({ t: 'snap-end', sub: subId, seq: '20' })
  await untilShown('b:hi c:hi')
  assert.deepEqual(shown, ['a:hi b:hi', 'b:hi c:hi'])
  assert.deepEqual(changes.slice(2).sort(), ['delete a', 'insert c'], 'what stays the same is no change')
})

test('a reset while a transaction is on its way keeps what it shows', async t => {
  const { connection, messages, subId, shown, untilShown } = await theatre(t, [message('a')])
  const tx = messages.insert(message('b'))
  const { txId } = await connection.frame('mut')
  connection.send({ t: 'reset', sub: subId })
  for (const row of [message('b'), message('c')])
    connection.send({ t: 'snap', sub: subId, key: row.id, row, seq: '20' })
  connection.send({ t: 'snap-end', sub: subId, seq: '20' }, { t: 'committed', txId, seq: '15' })
  await tx.when('settled')
  await untilShown('b:hi c:hi')
  assert.deepEqual(shown, ['a:hi', 'a:hi b:hi', 'b:hi c:hi'])
})

test('a collection that the server does not serve fails to load', async t => {
  const { server, scope } = await stage(t)
  const codes: string[] = []
  const onError = (error: { code: string }) => codes.push(error.code)
  const secrets = createCollection(skerryCollectionOptions<Message>({ scope, collection: 'secrets', onError }))
  const loaded = secrets.preload()
  const connection = await server.connection()
  connection.send({ t: 'reset', sub: (await connection.frame('sub'))['subId'] })
  await assert.rejects(loaded, { code: 'REFUSED' })
  assert.deepEqual(codes, ['REFUSED'])
})

test('a session that is refused fails to load, and loads after all when the application has seen to it', async t => {
  const { server, scope } = await stage(t)
  const messages = createCollection(skerryCollectionOptions<Message>({ scope, collection: 'messages' }))
  const loaded = messages.preload()
  await (await server.connection()).close(4401)
  await assert.rejects(loaded, { code: 'UNAUTHENTICATED' })
  scope.reconnect()
  const connection = await server.connection()
  const ready = new Promise(resolve => messages.on('status:ready', resolve))
  connection.send({ t: 'snap-end', sub: (await connection.frame('sub'))['subId'], seq: '1' })
  await patiently('the rows', ready)
  assert.equal(messages.status, 'ready')
})

test('a collection that nobody reads any more ends its subscription, and begins anew', async t => {
  const { connection, messages, subId } = await theatre(t, [message('a')])
  await messages.cleanup()
  assert.deepEqual(await connection.frame('unsub'), { t: 'unsub', subId })
  const loaded = messages.preload()
  const { subId: next } = await connection.frame('sub')
  connection.send(
    { t: 'snap', sub: next, key: 'z', row: message('z'), seq: '30' },
    { t: 'snap-end', sub: next, seq: '30' },
  )
  await loaded
  assert.deepEqual([...messages.keys()], ['z'])
})

test('another key than `id` needs a getKey, and a wrong one is named', async t => {
  const thrown = catchThrown(t)
  const { messages, connection } = await theatre(t, [message('1', 'hi', 'ann')], { getKey: row => row.author! })
  assert.match(String(thrown), /getKey returns ann for the row whose key is '1'/)
  messages.insert(message('2', 'ho', 'bob'))
  assert.equal((await connection.frame('mut'))['ops'][0].key, 'bob')
  const options = skerryCollectionOptions<Message>({ scope: {} as Scope, collection: 'messages' })
  assert.throws(() => options.getKey({ id: 7, text: '' } as any), /give skerryCollectionOptions a getKey/)
})

test('a schema gives the type, and checks what is written', async t => {
  const { scope } = await stage(t)
  const validate = (value: unknown) => {
    return (value as Message).text === '' ? { issues: [{ message: 'say something' }] } : { value: value as Message }
  }
  const schema: StandardSchema<Message> = { '~standard': { version: 1, vendor: 'test', validate } }
  const messages = createCollection(skerryCollectionOptions({ scope, collection: 'messages', schema }))
  messages.insert({ id: 'a', text: 'hi' })
  assert.throws(() => messages.insert({ id: 'b', text: '' }), /say something/)
})
