/** The chat example in browser windows, against the real server. */
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { Server } from './server.js'
import { ChatWindow, launchBrowser } from './window.js'

let server
let browser
const windows = []

before(async () => {
  server = await Server.start()
  browser = await launchBrowser()
})

beforeEach(async () => {
  if (!server.isRunning) await server.start() // a story that failed may have left it stopped
})

after(async () => {
  await browser?.close()
  await server?.end()
})

afterEach(async () => {
  await Promise.all(windows.splice(0).map(window => window.close()))
})

async function open(user, room, options) {
  const window = await ChatWindow.open(browser, server.url, { user, room, ...options })
  windows.push(window)
  if (user) await window.isOnline()
  return window
}

function numbered(count, text) {
  return Array.from({ length: count }, (_, i) => `${text} ${i + 1}`)
}

test('a message typed in one window is in the other, and shows as confirmed', async () => {
  const ann = await open('ann', 'hello')
  const bob = await open('bob', 'hello')
  await ann.page.getByText('Nothing here yet').waitFor()

  await ann.write('Is anybody there?')
  await bob.shows('ann: Is anybody there?')
  await ann.shows('You: Is anybody there? (confirmed)')

  await bob.write('I am.\nOn two lines.')
  await ann.shows('You: Is anybody there? (confirmed)', 'bob: I am.\nOn two lines.')
  await ann.hadNoFaults()
  await bob.hadNoFaults()
})

test('one edits and deletes one’s own messages, and the other sees it', async () => {
  const ann = await open('ann', 'changes')
  const bob = await open('bob', 'changes')
  await ann.write('Low water is at noon.')
  await bob.shows('ann: Low water is at noon.')
  await bob.write('Thanks!')
  await bob.shows('ann: Low water is at noon.', 'You: Thanks! (confirmed)')

  assert.equal(await bob.message('Low water').getByRole('button').count(), 0, 'buttons on a message of somebody else')
  await ann.edit('Low water', 'Low water is at two.')
  await bob.shows('ann: Low water is at two.', 'You: Thanks! (confirmed)')
  await bob.message('Low water').getByText('edited').waitFor()
  await ann.shows('You: Low water is at two. (confirmed)', 'bob: Thanks!')

  await ann.button('Low water', 'Delete').click()
  await ann.button('Low water', 'Delete?').click()
  await bob.shows('You: Thanks! (confirmed)')
  await ann.shows('bob: Thanks!')
})

test('what is typed while the server is away arrives when it is back, in order, nothing twice', async () => {
  const ann = await open('ann', 'storm')
  const bob = await open('bob', 'storm', { clockErrorMs: -3_600_000 })
  await ann.write('It is getting dark.')
  await bob.shows('ann: It is getting dark.')

  await server.stop()
  await ann.says('Offline')
  await bob.says('Offline')
  const fromAnn = numbered(8, 'This is ann')
  const fromBob = numbered(5, 'This is bob')
  for (const text of fromAnn) await ann.write(text)
  for (const text of fromBob) await bob.write(text)
  await ann.says('Offline: 8 messages wait')
  await bob.says('Offline: 5 messages wait')
  await ann.shows('You: It is getting dark. (confirmed)', ...fromAnn.map(text => `You: ${text} (waiting)`))
  await bob.shows('ann: It is getting dark.', ...fromBob.map(text => `You: ${text} (waiting)`))

  await server.start()
  await ann.message(fromBob.at(-1)).waitFor()
  await bob.message(fromAnn.at(-1)).waitFor()
  const order = (await ann.messages()).map(({ text }) => text)
  assert.deepEqual(order.filter(text => fromAnn.includes(text)), fromAnn)
  assert.deepEqual(order.filter(text => fromBob.includes(text)), fromBob)
  await ann.shows(...order.map(text => (fromBob.includes(text) ? `bob: ${text}` : `You: ${text} (confirmed)`)))
  await bob.shows(...order.map(text => (fromBob.includes(text) ? `You: ${text} (confirmed)` : `ann: ${text}`)))
  await ann.isOnline()
  await ann.hadNoFaults()
  await bob.hadNoFaults()
})

test('a message waits in its room while its writer is in another', async () => {
  const ann = await open('ann', 'harbour')
  await server.stop()
  await ann.says('Offline')
  await ann.write('Back at six.')
  await ann.enter('garden')
  await ann.room('harbour').getByText('1 waiting').waitFor()

  await server.start()
  await ann.room('harbour').getByText('1 waiting').waitFor({ state: 'detached' })
  await ann.room('harbour').click()
  await ann.shows('You: Back at six. (confirmed)')
})

test('a message that is too long is rejected, rolled back, and can be corrected', async () => {
  const ann = await open('ann', 'long')
  const bob = await open('bob', 'long')
  await ann.write('x'.repeat(4001))
  await ann.refusal.getByText('CHECK constraint failed').waitFor()
  await ann.shows()

  await ann.refusal.getByRole('button', { name: 'Correct it' }).click()
  await ann.refusal.getByText('CHECK constraint failed').waitFor({ state: 'detached' })
  assert.equal(await ann.box.inputValue(), 'x'.repeat(4001))
  await ann.write('short')
  await bob.shows('ann: short')
  await ann.shows('You: short (confirmed)')
})

test('an edit that is too long is rejected, and the message stays as it was', async () => {
  const ann = await open('ann', 'long edit')
  await ann.write('short')
  await ann.shows('You: short (confirmed)')
  await ann.edit('short', 'y'.repeat(4001))
  await ann.refusal.getByText('Your edit was refused').waitFor()
  await ann.shows('You: short (confirmed)')

  await ann.refusal.getByRole('button', { name: 'Correct it' }).click()
  await ann.editBox.fill('shorter')
  await ann.editBox.press('Enter')
  await ann.shows('You: shorter (confirmed)')
})

test('a reload shows everything', async () => {
  const ann = await open('ann', 'log book')
  const bob = await open('bob', 'log book')
  await ann.write('Monday')
  await bob.shows('ann: Monday')
  await bob.write('Tuesday')
  await ann.shows('You: Monday (confirmed)', 'bob: Tuesday')
  await ann.write('Wednesday')
  await bob.shows('ann: Monday', 'You: Tuesday (confirmed)', 'ann: Wednesday')

  await bob.page.reload()
  await bob.shows('ann: Monday', 'You: Tuesday (confirmed)', 'ann: Wednesday')
})

test('a name is asked for once, and is this window’s own', async () => {
  const cleo = await open(undefined, 'names')
  const dan = await open(undefined, 'names')
  await cleo.introduce('cleo')
  await dan.introduce('dan')
  await cleo.write('I am cleo.')
  await dan.shows('cleo: I am cleo.')

  await cleo.page.reload()
  await cleo.shows('You: I am cleo. (confirmed)')
})

test('the newest message is in sight, except for a reader who has scrolled up', async () => {
  const ann = await open('ann', 'many')
  const bob = await open('bob', 'many')
  const texts = numbered(30, 'message')
  for (const text of texts) await ann.write(text)
  await bob.shows(...texts.map(text => `ann: ${text}`))
  assert.equal(await bob.isInSight('message 30'), true)

  await bob.log.focus()
  await bob.page.keyboard.press('Home')
  await bob.newest.waitFor()
  await ann.write('the last')
  await bob.message('the last').waitFor()
  assert.equal(await bob.isInSight('the last'), false)
  await bob.newest.click()
  await bob.newest.waitFor({ state: 'detached' })
  assert.equal(await bob.isInSight('the last'), true)
})

test('somebody whom the server does not let in is told so, and cannot write', async t => {
  const strict = await Server.start([])
  t.after(() => strict.end())
  const ann = await ChatWindow.open(browser, strict.url, { user: 'ann', room: 'hello' })
  windows.push(ann)
  await ann.says('Closed')
  await ann.page.getByText('The server does not know who this is').waitFor()
  assert.equal(await ann.box.count(), 0)
})
