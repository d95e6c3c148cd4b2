/** messages - the messages of a room, or what there is to say while there are none. */
import type { Status } from 'skerry'
import { Fragment, memo, useLayoutEffect, type RefObject } from 'react'
import { useStayAtEnd } from './hooks'
import { MessageItem } from './message'
import type { Message, Room } from './room'

/** The message that is being edited, if one is, and the text in its box at first. */
export type Edited = { id: string; text: string } | undefined

type Props = {
  room: Room
  user: string
  status: Status
  messages: (Message & { $hasPendingWrites: boolean })[]
  isReady: boolean
  edited: Edited
  setEdited(edited: Edited): void
  /** Where the focus goes when what had it is gone. */
  box: RefObject<HTMLTextAreaElement | null>
}

/** Memoized: a key press in the box below is no reason to go through all messages. */
export const Messages = memo(function Messages(props: Props) {
  const { room, user, status, messages, isReady, edited, setEdited, box } = props
  const { scroller, content, onScroll, away, toEnd } = useStayAtEnd()
  const last = messages.at(-1)

  // Whoever writes wants to see it, wherever they were reading.
  useLayoutEffect(() => {
    if (last?.unsent) toEnd()
  }, [last?.id])

  function closeEdit() {
    setEdited(undefined)
    box.current?.focus()
  }

  function remove(message: Message) {
    room.remove(message)
    box.current?.focus()
  }

  return (
    <>
      <div className="scroller" ref={scroller} onScroll={onScroll} tabIndex={0} role="log" aria-label="Messages">
        <div ref={content}>
          {messages.length === 0 && <Nothing status={status} isReady={isReady} />}
          <ol hidden={messages.length === 0}>
            {messages.map((message, i) => {
              const before = messages[i - 1]
              const newDay = !before || dayOf(before) !== dayOf(message)
              return (
                <Fragment key={message.id}>
                  {newDay && <li className="day">{dayName(message)}</li>}
                  <MessageItem
                    message={message}
                    own={message.author === user}
                    first={newDay || before.author !== message.author}
                    online={status === 'online'}
                    edited={edited?.id === message.id ? edited.text : undefined}
                    onEdit={() => setEdited(message)}
                    onSave={text => room.edit(message, text)}
                    onCloseEdit={closeEdit}
                    onDelete={() => remove(message)}
                  />
                </Fragment>
              )
            })}
          </ol>
        </div>
      </div>
      {away && (
        <button type="button" className="to-end" onClick={toEnd}>
          Newest ↓
        </button>
      )}
    </>
  )
})

const dayFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'full' })

function dayOf(message: Message) {
  return new Date(message.created_at).toDateString()
}

function dayName(message: Message) {
  return dayOf(message) === new Date().toDateString() ? 'Today' : dayFormat.format(message.created_at)
}

function Nothing({ status, isReady }: { status: Status; isReady: boolean }) {
  if (isReady) {
    return (
      <div className="nothing">
        <h2>Nothing here yet</h2>
        <p>Write the first message. Whoever opens this page in this room sees it.</p>
      </div>
    )
  }
  return (
    <div className="nothing" aria-busy="true">
      <p>{status === 'offline' ? 'The messages come when the server can be reached.' : 'Loading messages…'}</p>
    </div>
  )
}
