/**
 * The real server, started from the binary that the environment variable SKERRY_BIN names, on a data folder of its own.
 * Whatever goes wrong is a failure with the server's own words, never a skipped test.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { access, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { patiently } from './mock-server.js'

/** The repository's root: this file runs from clients/skerry/test/dist/lib. */
const root = fileURLToPath(new URL('../../../../../', import.meta.url))

export class SkerryServer {
  readonly #app: string
  readonly #data: string
  // Not 127.0.0.1, where a client that knocks at a port without a listener may get that very port as its own.
  #address = '127.0.0.2:0'
  #process: ChildProcess | undefined
  #complaints = ''

  private constructor(app: string, data: string) {
    this.#app = app
    this.#data = data
  }

  /** Starts an example app (`chat`, `board`) on an empty data folder. */
  static async start(app: string): Promise<SkerryServer> {
    const server = new SkerryServer(app, await mkdtemp(join(tmpdir(), 'skerry-client-test-')))
    try {
      await server.start()
    } catch (error) {
      await server.remove()
      throw error
    }
    return server
  }

  /** For people behind this address, the same after a restart. */
  get url(): string {
    return `http://${this.#address}`
  }

  /** Starts it again, where it was. */
  async start(): Promise<void> {
    const binary = resolve(process.env['INIT_CWD'] ?? '.', process.env['SKERRY_BIN'] ?? '')
    if (!process.env['SKERRY_BIN']) throw new Error('SKERRY_BIN must name the skerry binary')
    await access(binary)
    const where = ['--data', this.#data, '--listen', this.#address]
    const args = ['serve', join(root, 'examples', this.#app), '--dev', ...where, '--shards', '2']
    // A group of its own, so that one signal can reach the supervisor and all that it has started.
    this.#process = spawn(binary, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#process.stderr!.on('data', data => (this.#complaints += data))
    const url = await patiently('the ready line', this.#readyLine(this.#process)).catch(error => {
      throw new Error(`${binary} ${args.join(' ')}: ${error.message}\n${this.#complaints.slice(-2000)}`)
    })
    this.#address = new URL(url).host
  }

  async #readyLine(child: ChildProcess): Promise<string> {
    const exited = once(child, 'exit').then(([code, signal]) => {
      throw new Error(`ended with ${code ?? signal} before it was ready`)
    })
    const ready = new Promise<string>(resolve => {
      createInterface(child.stdout!).on('line', line => {
        const [, url] = /^ready (\S+)$/.exec(line) ?? []
        if (url) resolve(url)
      })
    })
    exited.catch(() => {})
    return Promise.race([ready, exited as Promise<never>])
  }

  /** Asks it to end, and waits until it has. */
  stop(): Promise<void> {
    return this.#end(child => child.kill('SIGTERM'))
  }

  /** Ends every process of it in the middle of whatever it does. */
  kill(): Promise<void> {
    return this.#end(child => process.kill(-child.pid!, 'SIGKILL'))
  }

  async #end(signal: (child: ChildProcess) => void): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'close') // the last process that writes to its pipes is gone
    signal(child)
    await patiently('the end of the server', ended)
  }

  /** Ends it for good. */
  async remove(): Promise<void> {
    await this.kill()
    await rm(this.#data, { recursive: true, force: true })
  }
}

/** A token as an app's own login service would make one, with the key of the examples. */
export function token(app: string, claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const header = { alg: 'HS256', typ: 'JWT', kid: 'example-do-not-deploy' }
  const exp = Math.floor(Date.now() / 1000) + 3600
  const signed = `${part(header)}.${part({ aud: app, exp, ...claims })}`
  const key = Buffer.from('c2tlcnJ5LWV4YW1wbGUta2V5LWRvLW5vdC1kZXBsb3k', 'base64url')
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`
}
