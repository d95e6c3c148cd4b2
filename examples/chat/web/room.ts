/**
 * room - one chat room, live. This file is the part of the example that is about Skerry.
 *
 * A room is a scope, and its messages are a collection that is read and written as if it were local. What is written
 * shows at once, has `$hasPendingWrites` until the server has confirmed it, and is rolled back if the server refuses it.
 */
import { createCollection, localOnlyCollectionOptions, type Transaction } from '@tanstack/react-db'
import { connect } from 'skerry'
import { skerryCollectionOptions } from 'skerry/tanstack'

/** A row of the table in ../room/0001_messages.sql. */
export type Message = {
  id: string
  author: string
  text: string
  created_at: number
  edited_at: number | null
  /** Not a column: only this window has the message yet. */
  unsent?: true
}

/** A write that the server refused. It is kept until the writer has decided what becomes of it. */
export type Refusal = {
  id: string
  room: string
  what: 'message' | 'edit' | 'deletion'
  /** As it was to be. */
  message: Message
  reason: string
}

export type Room = ReturnType<typeof openRoom>

/** The refusals of all rooms: a collection without a server. */
export const refusals = createCollection(localOnlyCollectionOptions({ getKey: (refusal: Refusal) => refusal.id }))

export function openRoom(name: string, user: string) {
  const scope = connect({ app: 'chat', kind: 'room', id: name, user })
  // The server decides author and times. What is given for them here is shown until it has.
  const messages = createCollection(
    skerryCollectionOptions<Message>({ scope, collection: 'messages', columns: ['text'] }),
  )

  /** A write without an error of its own is rolled back because it followed a refused one on the same message. */
  function keepRefusal(written: Transaction, what: Refusal['what'], message: Message) {
    written.when('settled').catch((error: Error | undefined) => {
      const reason = error?.message ?? 'what it changes was refused'
      refusals.insert({ id: newId(), room: name, what, message, reason })
    })
  }

  return {
    name,
    scope,
    messages,
    /** What stands in the box of this room, not sent. */
    draft: '',

    send(text: string) {
      const message: Message = { id: newId(), author: user, text, created_at: Date.now(), edited_at: null, unsent: true }
      keepRefusal(messages.insert(message), 'message', message)
    },

    edit(message: Message, text: string) {
      if (text === message.text) return
      const written = messages.update(message.id, draft => void (draft.text = text))
      keepRefusal(written, 'edit', { ...message, text })
    },

    remove(message: Message) {
      keepRefusal(messages.delete(message.id), 'deletion', message)
    },
  }
}

let lastTime = 0

/**
 * An id that sorts after the ones before it. Messages that waited offline reach the server together and get the same
 * `created_at`: then the id keeps them in the order in which they were written.
 */
function newId() {
  lastTime = Math.max(Date.now(), lastTime + 1)
  const random = crypto.getRandomValues(new Uint32Array(2))
  return [lastTime, ...random].map(part => part.toString(36).padStart(8, '0')).join('')
}
