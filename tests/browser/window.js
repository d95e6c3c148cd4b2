/**
 * window - a browser window with the chat in it, in the words of somebody who uses it.
 *
 * What is looked for is waited for, up to PATIENCE_MS. A window watches itself all the time: no message may vanish
 * or stand there twice while it travels; `faults` has what did.
 */
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { chromium } from 'playwright-core'

const PATIENCE_MS = 20_000

export function launchBrowser() {
  const args = '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run'.split(' ')
  const quiet = '--disable-background-networking --disable-component-update --disable-sync'.split(' ')
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: [...args, ...quiet] })
}

export class ChatWindow {
  /** Without a `user` the page asks for one. A `clockErrorMs` makes this window's clock wrong. */
  static async open(browser, address, { user, room, clockErrorMs = 0 }) {
    const context = await browser.newContext({ viewport: { width: 1000, height: 600 } })
    context.setDefaultTimeout(PATIENCE_MS)
    await context.addInitScript(setClock, clockErrorMs)
    await context.addInitScript(watchMessages)
    const page = await context.newPage()
    const window = new ChatWindow(page)
    page.on('pageerror', error => window.errors.push(error))
    const query = new URLSearchParams({ room, ...(user && { user }) })
    await page.goto(`${address}?${query}`)
    return window
  }

  constructor(page) {
    this.page = page
    this.errors = []
    this.box = page.getByRole('textbox', { name: /^Message in / })
    this.refusal = page.getByRole('alert')
    this.status = page.getByRole('status')
    this.log = page.getByRole('log')
    this.editBox = page.getByRole('textbox', { name: 'Edit message' })
    this.newest = page.getByRole('button', { name: 'Newest' })
  }

  close() {
    return this.page.context().close()
  }

  async write(text) {
    await this.box.fill(text)
    await this.box.press('Enter')
  }

  async edit(text, newText) {
    await this.button(text, 'Edit').click()
    await this.editBox.fill(newText)
    await this.editBox.press('Enter')
  }

  /** Answers the question for a name. */
  async introduce(name) {
    await this.page.getByRole('textbox', { name: 'Your name' }).fill(name)
    await this.page.keyboard.press('Enter')
    await this.isOnline()
  }

  async enter(room) {
    await this.page.getByRole('textbox', { name: 'Room to enter' }).fill(room)
    await this.page.keyboard.press('Enter')
  }

  /** A room in the list. */
  room(name) {
    return this.page.getByRole('navigation').getByRole('link', { name })
  }

  message(text) {
    return this.page.locator('.message').filter({ hasText: text })
  }

  button(text, name) {
    return this.message(text).getByRole('button', { name, exact: true })
  }

  async isOnline() {
    await this.status.getByText('Online', { exact: true }).waitFor()
  }

  async says(status) {
    await this.status.getByText(status, { exact: true }).waitFor()
  }

  /** The messages as they stand there now; `state` is what became of one's own. */
  messages() {
    return this.page.evaluate(() =>
      [...document.querySelectorAll('.message')].map(message => {
        const [author, text, state] = ['.author', '.text', '.state'].map(part => message.querySelector(part))
        const mark = state?.querySelector('[aria-label]')?.ariaLabel ?? state?.textContent
        return { author: author.textContent, text: text.textContent, state: mark }
      }),
    )
  }

  /** The room holds exactly these messages, in this order: 'author: text', and '(state)' after one's own. */
  async shows(...expected) {
    const look = async () =>
      (await this.messages()).map(({ author, text, state }) => `${author}: ${text}${state ? ` (${state})` : ''}`)
    const deadline = Date.now() + PATIENCE_MS
    let actual = await look()
    while (!isDeepStrictEqual(actual, expected) && Date.now() < deadline) {
      await this.page.evaluate(() => new Promise(requestAnimationFrame))
      actual = await look()
    }
    assert.deepEqual(actual, expected)
  }

  /** Whether the whole message can be seen without scrolling, once what has just changed is painted. */
  async isInSight(text) {
    await this.page.evaluate(() => new Promise(painted => requestAnimationFrame(() => requestAnimationFrame(painted))))
    const [message, log] = [await this.message(text).boundingBox(), await this.log.boundingBox()]
    return message.y >= log.y && message.y + message.height <= log.y + log.height
  }

  /** No message vanished or stood there twice, ever; deletions that were asked for are given. */
  async hadNoFaults(...deleted) {
    const faults = await this.page.evaluate(() => window.faults)
    assert.deepEqual(faults, deleted.map(text => `vanished: ${text}`))
    assert.deepEqual(this.errors, [])
  }
}

function setClock(errorMs) {
  const now = Date.now
  Date.now = () => now() + errorMs
}

function watchMessages() {
  const shown = new Set()
  window.faults = []
  const look = () => {
    const texts = [...document.querySelectorAll('.message .text')].map(element => element.textContent)
    for (const text of shown) {
      if (texts.includes(text)) continue
      shown.delete(text)
      window.faults.push(`vanished: ${text}`)
    }
    for (const [i, text] of texts.entries()) {
      if (texts.indexOf(text) !== i) window.faults.push(`twice: ${text}`)
      shown.add(text)
    }
  }
  new MutationObserver(look).observe(document, { childList: true, characterData: true, subtree: true })
}
