/** The same for Node: 18 has no global `crypto`. */
// @ts-ignore the sources are checked without Node's types: everything but this file also runs in a browser
import { randomUUID } from 'node:crypto'

export const uuid: () => string = randomUUID
