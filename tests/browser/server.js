/**
 * server - the program under test, from the environment's SKERRY_BIN, with the chat example and a data folder of its own.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const app = fileURLToPath(new URL('../../examples/chat', import.meta.url))

export class Server {
  #data
  #process
  #options
  /** Where it listens: chosen by the system at the first start, kept afterwards. */
  #address = '127.0.0.1:0'

  /** With `--dev` the server takes a name for a login; other options of `skerry serve` may be given instead. */
  static async start(options = ['--dev']) {
    if (!process.env.SKERRY_BIN) throw new Error('SKERRY_BIN is not set: give the path of the skerry program')
    if (!existsSync(`${app}/public/index.html`)) throw new Error(`${app} is not built: run npm ci && npm run build in it`)
    const server = new Server()
    server.#options = options
    server.#data = await mkdtemp(join(tmpdir(), 'skerry-browser-'))
    await server.start().catch(async error => {
      await server.end()
      throw error
    })
    return server
  }

  get url() {
    return `http://${this.#address}/`
  }

  get isRunning() {
    return this.#process.exitCode === null && this.#process.signalCode === null
  }

  async start() {
    const args = ['serve', app, ...this.#options, '--data', this.#data, '--listen', this.#address, '--shards', '2']
    this.#process = spawn(process.env.SKERRY_BIN, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(this.#process, 'spawn')
    for await (const line of createInterface(this.#process.stdout)) {
      const ready = /^ready http:\/\/(\S+)\/$/.exec(line)
      if (!ready) continue
      this.#address = ready[1]
      this.#process.stdout.resume()
      return
    }
    throw new Error('the server ended before it was ready')
  }

  /** Asks it to end, and waits until it has. */
  async stop() {
    if (!this.isRunning) return
    const exit = once(this.#process, 'exit')
    this.#process.kill('SIGTERM')
    await exit
  }

  async end() {
    await this.stop()
    await rm(this.#data, { recursive: true })
  }
}
