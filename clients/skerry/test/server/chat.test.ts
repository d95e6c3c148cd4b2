/** The client and the real server, with the chat example: what people who chat would notice. */
import assert from 'node:assert/strict'
import { after, before, test, type TestContext } from 'node:test'
import { connect } from 'skerry'
import { WebSocket } from 'ws'
import { enter, newRoom, type Person } from '../lib/people.js'
import { untilPending, untilStatus } from '../lib/observe.js'
import { SkerryServer, token } from '../lib/skerry-server.js'

interface Message {
  id: string
  author: string
  text: string
  created_at: number
  edited_at: number | null
}

let server: SkerryServer
before(async () => void (server = await SkerryServer.start('chat')))
after(() => server?.remove())

function join(t: TestContext, id: string, user: string, url = server.url): Person<Message> {
  return enter<Message>(t, 'messages', { url, app: 'chat', kind: 'room', id, user })
}

const say = ({ scope }: Person<Message>, key: string, text = `I am ${key}`) => {
  return scope.mutate('messages', [{ type: 'insert', key, cols: { text } }]).confirmed
}
const texts = ({ follower }: Person<Message>) => [...follower.rows.values()].map(row => row.text)
const reads = (person: Person<Message>, key: string) =>
  person.follower.until(`message ${key}`, () => person.follower.rows.has(key))

test('what one says the other reads, with the author and the time that the server set', async t => {
  const room = newRoom()
  const [ann, bob] = [join(t, room, 'ann'), join(t, room, 'bob')]
  await bob.follower.untilNoted('ready')
  const from = Date.now()
  await say(ann, 'm1', 'Hello, Bob 👋')
  await reads(bob, 'm1')
  const message = bob.follower.rows.get('m1')!
  assert.deepEqual(
    { ...message, created_at: 0 },
    { id: 'm1', author: 'ann', text: 'Hello, Bob 👋', created_at: 0, edited_at: null },
  )
  assert.ok(message.created_at >= from - 1000 && message.created_at <= Date.now() + 1000)
  assert.deepEqual(ann.follower.rows.get('m1'), message)
})

test('the server says first what it is, and what the columns hold', async t => {
  const room = newRoom()
  const [ann, bob] = [join(t, room, 'ann'), join(t, room, 'bob')]
  await say(ann, 'm1')
  await reads(bob, 'm1')
  assert.equal(bob.scope.hello?.types['messages']?.['text'], 'text')
  assert.equal(bob.scope.hello.types['messages']['created_at'], 'integer')
  assert.equal(bob.scope.hello.limits.ops, 128)
})

test('who speaks only the base contract talks to everybody else', async t => {
  const id = newRoom()
  const ann = join(t, id, 'ann')
  class Plain extends WebSocket {
    constructor(address: string) {
      super(address)
    }
  }
  const bob = connect({ url: server.url, app: 'chat', kind: 'room', id, user: 'bob', WebSocket: Plain })
  t.after(() => bob.close())
  await bob.mutate('messages', [{ type: 'insert', key: 'm1', cols: { text: 'Hello' } }]).confirmed
  await reads(ann, 'm1')
  assert.equal(bob.hello, undefined)
})

test("one edits and deletes what is one's own", async t => {
  const room = newRoom()
  const [ann, bob] = [join(t, room, 'ann'), join(t, room, 'bob')]
  await say(ann, 'm1')
  await say(ann, 'm2')
  await ann.scope.mutate('messages', [
    { type: 'update', key: 'm1', cols: { text: 'better' } },
    { type: 'delete', key: 'm2' },
  ]).confirmed
  assert.deepEqual(texts(ann), ['better'])
  await bob.follower.until(
    'the edit',
    () => bob.follower.rows.get('m1')?.text === 'better' && !bob.follower.rows.has('m2'),
  )
  assert.ok(bob.follower.rows.get('m1')!.edited_at! > 0)
})

test('what is not allowed is rejected, says why, and changes nothing', async t => {
  const room = newRoom()
  const [ann, bob] = [join(t, room, 'ann'), join(t, room, 'bob')]
  await say(ann, 'm1', 'mine')
  await reads(bob, 'm1')
  const attempt = (type: 'insert' | 'update', key: string, cols: object) =>
    bob.scope.mutate('messages', [{ type, key, cols }]).confirmed
  await assert.rejects(attempt('update', 'm1', { text: 'yours' }), { code: 'FORBIDDEN' })
  await assert.rejects(bob.scope.mutate('messages', [{ type: 'delete', key: 'm1' }]).confirmed, { code: 'FORBIDDEN' })
  await assert.rejects(attempt('insert', 'm2', { text: '' }), { code: 'CONSTRAINT', message: /CHECK/ })
  await assert.rejects(attempt('insert', 'm1', { text: 'again' }), { code: 'CONSTRAINT' })
  await assert.rejects(attempt('insert', 'm2', { text: 'hi', edited_at: 7 }), { code: 'VALIDATION' })
  await assert.rejects(attempt('insert', 'm2', { text: 'hi', no_such: 7 }), { code: 'VALIDATION' })
  await assert.rejects(bob.scope.mutate('pins', [{ type: 'delete', key: 'a' }]).confirmed, { code: 'REJECTED' })
  await assert.rejects(bob.scope.call('pin', { id: 'm1' }).confirmed, { code: 'UNKNOWN_COMMAND' })
  const many = Array.from({ length: 129 }, (_, index) => ({
    type: 'insert' as const,
    key: `x${index}`,
    cols: { text: 'hi' },
  }))
  await assert.rejects(bob.scope.mutate('messages', many).confirmed, { code: 'LIMIT_EXCEEDED' })
  assert.deepEqual(texts(bob), ['mine'])
  assert.deepEqual(texts(ann), ['mine'])
})

test('a transaction happens whole or not at all', async t => {
  const ann = join(t, newRoom(), 'ann')
  const both = [
    { type: 'insert' as const, key: 'm1', cols: { text: 'fine' } },
    { type: 'insert' as const, key: 'm2', cols: { text: '' } },
  ]
  await assert.rejects(ann.scope.mutate('messages', both).confirmed, { code: 'CONSTRAINT' })
  await say(ann, 'm3')
  assert.deepEqual([...ann.follower.rows.keys()], ['m3'])
})

test('a collection that is not there is refused, and the connection goes on', async t => {
  const id = newRoom()
  const nobody = enter(t, 'no_such_collection', { url: server.url, app: 'chat', kind: 'room', id, user: 'ann' })
  await nobody.follower.untilNoted('error REFUSED')
  await nobody.scope.mutate('messages', [{ type: 'insert', key: 'm1', cols: { text: 'hi' } }]).confirmed
  assert.deepEqual(nobody.follower.diary, ['error REFUSED'])
})

test('rooms are islands, whatever their names hold', async t => {
  const names = ['a/b', 'a%2Fb', 'ä ö?x=1#y', `${newRoom()}'";--`]
  for (const name of names) await say(join(t, name, 'ann'), 'm1', name)
  for (const name of names) {
    const bob = join(t, name, 'bob')
    await bob.follower.untilNoted('ready')
    assert.deepEqual(texts(bob), [name])
  }
})

test('a token says who one is; without one the door is closed for good', async t => {
  const id = newRoom()
  const knock = (options: object) =>
    enter<Message>(t, 'messages', { url: server.url, app: 'chat', kind: 'room', id, ...options })
  const ann = knock({ token: async () => token('chat', { sub: 'ann' }) })
  await say(ann, 'm1')
  assert.equal(ann.follower.rows.get('m1')!.author, 'ann')

  const strangers = {
    'nobody': {},
    'a forged token': { token: `${token('chat', { sub: 'ann' }).slice(0, -4)}AAAA` },
    'an expired token': { token: token('chat', { sub: 'ann', exp: 1 }) },
    'a token for another app': { token: token('board', { sub: 'ann' }) },
  }
  for (const [who, options] of Object.entries(strangers)) {
    const stranger = knock(options)
    await untilStatus(stranger.scope, 'closed')
    assert.equal(stranger.scope.closeReason?.code, 'UNAUTHENTICATED', who)
    assert.equal(stranger.follower.rows.size, 0)
  }
})

test('away for a thousand changes: only those come, and then what is new', async t => {
  const room = newRoom()
  const [ann, bob] = [join(t, room, 'ann'), join(t, room, 'bob')]
  await say(ann, 'before')
  await reads(bob, 'before')
  bob.goAway()
  await untilStatus(bob.scope, 'offline')
  for (let batch = 0; batch < 8; batch++) {
    const ops = Array.from({ length: 125 }, (_, index) => ({
      type: 'insert' as const,
      key: `m${batch}.${index}`,
      cols: { text: 'hi' },
    }))
    await ann.scope.mutate('messages', ops).confirmed
  }
  const { length } = bob.follower.diary
  bob.comeBack()
  await bob.follower.untilNoted('ready', length)
  const came = bob.follower.diary
    .slice(length)
    .filter(entry => entry !== 'ready')
    .flatMap(entry => entry.split(' '))
  assert.deepEqual(new Set(came.filter(word => !word.startsWith('+'))), new Set(['batch']), 'no reset, no snapshot')
  const keys = came.filter(word => word.startsWith('+'))
  assert.equal(keys.length, 1000)
  assert.equal(new Set(keys).size, 1000)
  await say(ann, 'after')
  await reads(bob, 'after')
  assert.equal(bob.follower.rows.size, 1002)
})

test('the same transaction id twice: one effect, one answer, from wherever it comes', async t => {
  const room = newRoom()
  const [ann, other, bob] = [join(t, room, 'ann'), join(t, room, 'ann'), join(t, room, 'bob')]
  const repeat = ({ scope }: Person<Message>, key: string) => {
    return scope.mutate('messages', [{ type: 'insert', key, cols: { text: key } }], { txId: 'the-same' }).confirmed
  }
  const first = await repeat(ann, 'm1')
  assert.deepEqual(await repeat(ann, 'm1'), first)
  assert.deepEqual(await repeat(other, 'm1'), first)
  const bobs = await repeat(bob, 'm2')
  assert.notEqual(bobs.seq, first.seq, "another identity's id is its own")
  assert.deepEqual([...ann.follower.rows.keys()].sort(), ['m1', 'm2'])
})

for (const [how, end] of [
  ['stopped', 'stop'],
  ['killed', 'kill'],
] as const) {
  test(`the server is ${how} while people type: everything arrives, in order, nothing twice`, async t => {
    const own = await SkerryServer.start('chat')
    t.after(() => own.remove())
    const [ann, bob] = [join(t, 'lobby', 'ann', own.url), join(t, 'lobby', 'bob', own.url)]
    await say(ann, 'first')
    await reads(bob, 'first')

    const keys = Array.from({ length: 120 }, (_, index) => `m${index}`)
    const confirmed: string[] = []
    const type = (from: number, to: number) => {
      for (const key of keys.slice(from, to)) void say(ann, key).then(() => confirmed.push(key))
    }
    type(0, 100)
    await ann.follower.until('some of it', () => ann.follower.rows.size > 10)
    await own[end]()
    await untilStatus(ann.scope, 'offline')
    type(100, 120)
    await own.start()
    await untilPending(ann.scope, 0)

    assert.deepEqual(confirmed, keys, 'each confirmed once, in order')
    await reads(bob, keys.at(-1)!)
    assert.deepEqual([...bob.follower.rows.keys()], ['first', ...keys])
    const carol = join(t, 'lobby', 'carol', own.url)
    await carol.follower.untilNoted('ready')
    assert.deepEqual([...carol.follower.rows.keys()].sort(), ['first', ...keys].sort())
  })
}

test('a receipt outlives the server', async t => {
  const own = await SkerryServer.start('chat')
  t.after(() => own.remove())
  const ann = join(t, 'lobby', 'ann', own.url)
  const repeat = () =>
    ann.scope.mutate('messages', [{ type: 'insert', key: 'm1', cols: { text: 'hi' } }], { txId: 'mine' }).confirmed
  const first = await repeat()
  await own.kill()
  await own.start()
  assert.deepEqual(await repeat(), first)
  assert.equal(ann.follower.rows.size, 1)
})
