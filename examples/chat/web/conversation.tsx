/** conversation - one room on the screen: how its connection is, its messages, and the box to write in. */
import { useLiveQuery } from '@tanstack/react-db'
import type { Status } from 'skerry'
import { useEffect, useRef, useState } from 'react'
import { Composer } from './composer'
import { usePending, useStatus, useWaiting } from './hooks'
import { Messages, type Edited } from './messages'
import { Refusals } from './refusals'
import type { Refusal, Room } from './room'

export function Conversation({ room, user }: { room: Room; user: string }) {
  const status = useStatus(room.scope)
  const waiting = useWaiting(room.scope)
  // Unsent messages come last: the server gives them their time when it takes them.
  const { data: messages, isReady } = useLiveQuery({
    query: q =>
      q
        .from({ message: room.messages })
        .orderBy(({ message }) => message.unsent, { nulls: 'first' })
        .orderBy(({ message }) => message.created_at)
        .orderBy(({ message }) => message.id, { stringSort: 'lexical' }),
  })

  const [draft, setDraft] = useState(room.draft)
  const [edited, setEdited] = useState<Edited>()
  const box = useRef<HTMLTextAreaElement>(null)

  useEffect(() => void (document.title = `${room.name} · Skerry chat`), [room])
  useEffect(() => void (room.draft = draft), [room, draft])

  /** A refused text goes back to where it was written, if that is still there. */
  function putBack({ what, message }: Refusal) {
    if (what === 'edit' && room.messages.has(message.id)) return setEdited(message)
    setDraft(draft => [message.text, draft].filter(Boolean).join('\n'))
    box.current?.focus()
  }

  return (
    <main className="conversation">
      <header>
        <h1>{room.name}</h1>
        <ConnectionStatus room={room} status={status} unsent={messages.filter(message => message.unsent).length} />
      </header>
      {(status !== 'closed' || messages.length > 0) && (
        <Messages {...{ room, user, status, messages, isReady, edited, setEdited, box }} />
      )}
      <Refusals room={room} onPutBack={putBack} onDismiss={() => box.current?.focus()} />
      {status === 'offline' && (
        <p className="notice">
          The server cannot be reached. Write on: what you write is sent when it is back, as long as this page stays open.
        </p>
      )}
      {waiting && (
        <p className="notice">
          The server takes nothing at the moment: {waiting.message}. What you write is kept and sent again, as long as this
          page stays open.
        </p>
      )}
      {status === 'closed' ? <Closed room={room} /> : <Composer room={room} text={draft} setText={setDraft} box={box} />}
    </main>
  )
}

function ConnectionStatus({ room, status, unsent }: { room: Room; status: Status; unsent: number }) {
  const pending = usePending(room.scope)
  const names = { online: 'Online', connecting: 'Connecting…', offline: 'Offline', closed: 'Closed' }
  const waiting = `: ${pending} ${unsent === pending ? 'message' : 'change'}${pending === 1 ? ' waits' : 's wait'}`
  const isWaiting = pending > 0 && (status === 'offline' || status === 'closed')

  return (
    <p role="status" className="status" data-status={status}>
      {names[status] + (isWaiting ? waiting : '')}
    </p>
  )
}

/** The server does not let this user in, or no more. */
function Closed({ room }: { room: Room }) {
  return (
    <div className="closed">
      <h2>This room is closed to you</h2>
      <p>{room.scope.closeReason?.message}</p>
      <button type="button" onClick={() => room.scope.reconnect()}>
        Try again
      </button>
    </div>
  )
}
