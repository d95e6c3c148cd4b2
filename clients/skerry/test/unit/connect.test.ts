/** Getting there: addresses, tokens, what a wrong option is told, and closings that are final. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, SkerryError, type ConnectOptions } from 'skerry'
import { Follower, untilStatus } from '../lib/observe.js'
import { quick, room, stage } from '../lib/stage.js'

test('the address names the scope, whatever its id holds', async t => {
  const { server, scope } = await stage(t, { id: 'a/b c?#%é', user: 'ann & bob' })
  const connection = await server.connection()
  assert.equal(connection.path, '/v1/chat/room/a%2Fb%20c%3F%23%25%C3%A9/sync')
  assert.equal(connection.query.get('user'), 'ann & bob')
  assert.equal(connection.query.get('deny'), 'close')
  assert.equal(connection.query.get('token'), null)
  await untilStatus(scope, 'online')
})

test('the token is asked for at each connection', async t => {
  const tokens = ['first', 'se+cond']
  const { server } = await stage(t, { token: async () => tokens.shift()! })
  const first = await server.connection()
  assert.equal(first.query.get('token'), 'first')
  await first.drop()
  assert.equal((await server.connection()).query.get('token'), 'se+cond')
})

test('a token that cannot be had is a failed connection, and is asked for again', async t => {
  let asked = 0
  const { server, scope } = await stage(t, {
    token: () => {
      if (asked++ === 0) throw new Error('the login service is away')
      return 'token'
    },
  })
  await untilStatus(scope, 'offline')
  assert.equal(scope.lastError?.code, 'TOKEN')
  assert.match(String(scope.lastError?.cause), /the login service is away/)
  assert.equal((await server.connection()).query.get('token'), 'token')
  await untilStatus(scope, 'online')
  assert.equal(scope.lastError, undefined)
})

const wrong: [string, Partial<ConnectOptions>, RegExp][] = [
  ['no url outside of a browser', { url: undefined }, /url is needed/],
  ['a url that is none', { url: 'localhost' }, /not an address: 'localhost'/],
  ['a url of another kind', { url: 'ftp://host' }, /http, https, ws or wss/],
  ['an empty id', { id: '' }, /id must be a non-empty string/],
  ['an id that no address can carry', { id: '..' }, /id must be/],
  ['an app that is no string', { app: 7 as any }, /app must be a non-empty string, not 7/],
  ['a wait of nothing', { minDelayMs: 0 }, /minDelayMs/],
  ['waits the wrong way round', { minDelayMs: 5000, maxDelayMs: 100 }, /minDelayMs must not be above maxDelayMs/],
  ['no WebSocket', { WebSocket: 'ws' as any }, /there is no WebSocket here/],
]
for (const [what, options, message] of wrong) {
  test(`connect refuses ${what}`, () => {
    assert.throws(
      () => connect({ url: 'http://127.0.0.1:1', ...room, ...quick, ...options }),
      (error: unknown) => error instanceof SkerryError && error.code === 'INVALID' && message.test(error.message),
    )
  })
}

for (const [closeCode, code] of [
  [4401, 'UNAUTHENTICATED'],
  [4403, 'FORBIDDEN'],
  [4999, 'CLOSED'],
] as const) {
  test(`a close with ${closeCode} is final, until the application tries again`, async t => {
    const { server, scope } = await stage(t)
    const follower = new Follower(scope, 'messages')
    await (await server.connection()).close(closeCode, 'expired')
    await untilStatus(scope, 'closed')
    assert.equal(scope.closeReason?.code, code)
    assert.equal(scope.closeReason?.closeCode, closeCode)
    assert.match(scope.closeReason!.message, /expired/)
    assert.deepEqual(follower.diary, [`error ${code}`])

    const tx = scope.mutate('messages', [{ type: 'delete', key: 'm1' }])
    scope.reconnect()
    assert.equal(scope.status, 'connecting')
    const again = await server.connection()
    await again.frame('sub')
    assert.equal((await again.frame('mut'))['txId'], tx.txId)
    assert.equal(scope.closeReason, undefined)
  })
}

for (const closeCode of [1001, 1009, 1012, 1013, 3000]) {
  test(`a close with ${closeCode} is followed by another connection`, async t => {
    const { server, scope } = await stage(t)
    await (await server.connection()).close(closeCode)
    await server.connection()
    await untilStatus(scope, 'online')
  })
}

test('a server that is not there yet is found when it is', async t => {
  const { server, scope } = await stage(t)
  const statuses: string[] = []
  scope.onStatus(status => statuses.push(status))
  await (await server.connection()).drop()
  await server.connection()
  await untilStatus(scope, 'online')
  assert.deepEqual(statuses, ['online', 'offline', 'online'])
})

test('close ends it: no connection, no handler, no transaction', async t => {
  const { server, scope } = await stage(t)
  const follower = new Follower(scope, 'messages')
  const connection = await server.connection()
  const { confirmed } = scope.mutate('messages', [{ type: 'delete', key: 'm1' }])
  scope.close()
  await connection.closed
  assert.equal(scope.status, 'closed')
  assert.equal(scope.pending, 0)
  await assert.rejects(confirmed, { code: 'CLOSED' })
  await assert.rejects(scope.call('pin').confirmed, { code: 'CLOSED' })
  assert.throws(() => new Follower(scope, 'messages'), { code: 'CLOSED' })
  scope.reconnect()
  assert.equal(scope.status, 'closed')
  assert.deepEqual(follower.diary, ['error CLOSED'])
})
