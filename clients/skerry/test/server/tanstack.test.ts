/** Collections of TanStack DB on the real server. */
import assert from 'node:assert/strict'
import { webcrypto } from 'node:crypto'
import { after, before, test, type TestContext } from 'node:test'
import { createCollection } from '@tanstack/db'
import { connect, type Scope } from 'skerry'
import { skerryCollectionOptions } from 'skerry/tanstack'
import { patiently } from '../lib/mock-server.js'
import { untilPending, untilStatus } from '../lib/observe.js'
import { newRoom } from '../lib/people.js'
import { quick } from '../lib/stage.js'
import { SkerryServer } from '../lib/skerry-server.js'

// TanStack DB wants a global crypto, which Node has from 19 on.
;(globalThis as { crypto?: unknown }).crypto ??= webcrypto

interface Message {
  id: string
  text: string
  author?: string
  created_at?: number
  edited_at?: number | null
}

let server: SkerryServer
before(async () => void (server = await SkerryServer.start('chat')))
after(() => server?.remove())

async function open(t: TestContext, id: string, user: string, url = server.url) {
  const scope: Scope = connect({ url, app: 'chat', kind: 'room', id, user, ...quick })
  t.after(() => scope.close())
  const messages = createCollection(skerryCollectionOptions<Message>({ scope, collection: 'messages' }))
  /** All that was ever shown, as the sorted ids, one entry per change. */
  const shown = ['']
  const ids = () => [...messages.keys()].sort().join(' ')
  await patiently('the first rows', messages.preload())
  // Without its initial state a subscriber is not told that a row of it has gone.
  const onChange = (look: () => void) => messages.subscribeChanges(look, { includeInitialState: true })
  onChange(() => {
    if (shown.at(-1) !== ids()) shown.push(ids())
  })
  const until = (what: string) =>
    patiently(
      `'${what}' shown`,
      new Promise<void>(resolve => {
        const look = () => void (ids() === what && resolve())
        onChange(look)
        look()
      }),
    )
  return { scope, messages, shown, until }
}

test('typed in one window, read in the other, and never gone in between', async t => {
  const room = newRoom()
  const [ann, bob] = [await open(t, room, 'ann'), await open(t, room, 'bob')]
  const made = ['a', 'b', 'c'].map(id =>
    ann.messages.insert({ id, text: `I am ${id}`, author: 'ann', created_at: Date.now() }),
  )
  assert.deepEqual(ann.shown, ['', 'a', 'a b', 'a b c'], 'at once')
  for (const tx of made) await tx.when('settled')
  await bob.until('a b c')
  assert.deepEqual(ann.shown, ['', 'a', 'a b', 'a b c'], 'without a flicker')
  assert.equal(ann.messages.get('a')!.$synced, true)
  assert.equal(bob.messages.get('a')!.author, 'ann')

  await bob.messages.insert({ id: 'd', text: 'and I am d' }).when('settled')
  await ann.until('a b c d')
  await ann.messages.update('a', draft => void (draft.text = 'new')).when('settled')
  assert.ok(ann.messages.get('a')!.edited_at! > 0)
  await ann.messages.delete(['b', 'c']).when('settled')
  await bob.until('a d')
  assert.equal(bob.messages.get('a')!.text, 'new')
})

test('what the server refuses is rolled back', async t => {
  const room = newRoom()
  const [ann, bob] = [await open(t, room, 'ann'), await open(t, room, 'bob')]
  await ann.messages.insert({ id: 'a', text: 'mine' }).when('settled')
  await bob.until('a')
  const edit = bob.messages.update('a', draft => void (draft.text = 'yours'))
  assert.equal(bob.messages.get('a')!.text, 'yours')
  await assert.rejects(edit.when('settled'), { code: 'FORBIDDEN' })
  assert.equal(bob.messages.get('a')!.text, 'mine')
  await assert.rejects(bob.messages.insert({ id: 'b', text: '' }).when('settled'), { code: 'CONSTRAINT' })
  assert.deepEqual([...bob.messages.keys()], ['a'])
})

test('the server goes and comes while one types', async t => {
  const own = await SkerryServer.start('chat')
  t.after(() => own.remove())
  const [ann, bob] = [await open(t, 'lobby', 'ann', own.url), await open(t, 'lobby', 'bob', own.url)]
  await ann.messages.insert({ id: 'a', text: 'hi' }).when('settled')
  await own.stop()
  await untilStatus(ann.scope, 'offline')
  const made = ['b', 'c'].map(id => ann.messages.insert({ id, text: 'still here' }))
  await own.start()
  for (const tx of made) await tx.when('settled')
  await untilPending(ann.scope, 0)
  await bob.until('a b c')
  assert.deepEqual(ann.shown, ['', 'a', 'a b', 'a b c'])
})
