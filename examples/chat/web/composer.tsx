/** composer - the box to write in. */
import type { FormEvent, KeyboardEvent, RefObject } from 'react'
import { isSendKey } from './message'
import type { Room } from './room'

type Props = {
  room: Room
  text: string
  setText(text: string): void
  box: RefObject<HTMLTextAreaElement | null>
}

export function Composer({ room, text, setText, box }: Props) {
  function submit(event: FormEvent | KeyboardEvent) {
    event.preventDefault()
    if (!text.trim()) return
    room.send(text.trim())
    setText('')
    box.current?.focus()
  }

  return (
    <form className="composer" onSubmit={submit}>
      <textarea
        ref={box}
        aria-label={`Message in ${room.name}`}
        dir="auto"
        placeholder="Write a message"
        value={text}
        rows={1}
        autoFocus
        onChange={event => setText(event.target.value)}
        onKeyDown={event => isSendKey(event) && submit(event)}
      />
      <button type="submit" disabled={!text.trim()}>
        Send
      </button>
    </form>
  )
}
