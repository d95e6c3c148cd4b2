/** message - one message: what it says, whose it is, whether the server has it, and for its author the ways to change it. */
import { useState, type FormEvent, type KeyboardEvent } from 'react'
import type { Message } from './room'

const time = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' })
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })

type Props = {
  message: Message & { $hasPendingWrites: boolean }
  own: boolean
  /** Whether its author starts to speak here. */
  first: boolean
  online: boolean
  /** The text in the edit box, if it is open. */
  edited: string | undefined
  onEdit(): void
  onSave(text: string): void
  onCloseEdit(): void
  onDelete(): void
}

export function MessageItem({ message, own, first, online, edited, onEdit, onSave, onCloseEdit, onDelete }: Props) {
  const pending = message.$hasPendingWrites

  if (edited !== undefined) return <EditForm text={edited} save={onSave} close={onCloseEdit} />
  return (
    <li className="message" data-own={own} data-first={first} data-pending={pending}>
      <p className={first ? 'author' : 'author unseen'}>{own ? 'You' : message.author}</p>
      {own && <Actions onEdit={onEdit} onDelete={onDelete} />}
      <div className="bubble">
        <p className="text" dir="auto">
          {message.text}
        </p>
        <p className="meta">
          {message.edited_at && <span title={moment.format(message.edited_at)}>edited</span>}
          <time dateTime={new Date(message.created_at).toISOString()} title={moment.format(message.created_at)}>
            {time.format(message.created_at)}
          </time>
          {own && <span className="state">{pending ? (online ? 'sending…' : 'waiting') : <Confirmed />}</span>}
        </p>
      </div>
    </li>
  )
}

function Confirmed() {
  return (
    <span role="img" aria-label="confirmed" title="The server has it">
      ✓
    </span>
  )
}

/**
 * Deleting cannot be undone, so it takes two presses; leaving the button takes the first one back. A press must not move
 * the focus: a browser that does not focus what is clicked would take it for leaving.
 */
function Actions({ onEdit, onDelete }: { onEdit(): void; onDelete(): void }) {
  const [sure, setSure] = useState(false)

  if (sure) {
    return (
      <div className="actions">
        <button
          type="button"
          className="danger"
          autoFocus
          onMouseDown={event => event.preventDefault()}
          onBlur={() => setSure(false)}
          onClick={onDelete}
        >
          Delete?
        </button>
      </div>
    )
  }
  return (
    <div className="actions">
      <IconButton label="Edit" icon="M4 20h4L19 9l-4-4L4 16zM13 7l4 4" onClick={onEdit} />
      <IconButton label="Delete" icon="M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v5M14 11v5" onClick={() => setSure(true)} />
    </div>
  )
}

function IconButton({ label, icon, onClick }: { label: string; icon: string; onClick(): void }) {
  return (
    <button type="button" className="icon" aria-label={label} title={label} onClick={onClick}>
      <svg viewBox="0 0 24 24" aria-hidden="true">
        <path d={icon} />
      </svg>
    </button>
  )
}

function EditForm({ text: before, save, close }: { text: string; save(text: string): void; close(): void }) {
  const [text, setText] = useState(before)

  function submit(event: FormEvent) {
    event.preventDefault()
    if (!text.trim()) return
    save(text.trim())
    close()
  }

  function onKeyDown(event: KeyboardEvent<HTMLTextAreaElement>) {
    if (event.key === 'Escape') close()
    if (isSendKey(event)) submit(event)
  }

  return (
    <li>
      <form className="edit" onSubmit={submit}>
        <textarea
          aria-label="Edit message"
          dir="auto"
          value={text}
          autoFocus
          onFocus={event => event.target.setSelectionRange(text.length, text.length)}
          onChange={event => setText(event.target.value)}
          onKeyDown={onKeyDown}
        />
        <button type="button" className="quiet" onClick={close}>
          Cancel
        </button>
        <button type="submit" disabled={!text.trim()}>
          Save
        </button>
      </form>
    </li>
  )
}

/** Enter sends, Shift+Enter breaks the line, and the Enter that ends an input method's word does neither. */
export function isSendKey(event: KeyboardEvent) {
  return event.key === 'Enter' && !event.shiftKey && !event.nativeEvent.isComposing
}
