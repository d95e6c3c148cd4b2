/** main - the page: who is here, the rooms on one side, the conversation on the other. */
import { StrictMode, useEffect, useRef, useState, type FormEvent } from 'react'
import { createRoot } from 'react-dom/client'
import { Conversation } from './conversation'
import { usePending } from './hooks'
import icon from './icon.svg'
import { currentName, roomUrl, setName, useRoomName } from './place'
import { openRoom, type Room } from './room'

/** A room stays open while the page is: what was written in it offline still has to be sent. */
const openRooms = new Map<string, Room>()

function roomOf(name: string, user: string) {
  const room = openRooms.get(name) ?? openRoom(name, user)
  openRooms.set(name, room)
  return room
}

addEventListener('beforeunload', event => {
  if ([...openRooms.values()].some(room => room.scope.pending > 0)) event.preventDefault()
})

function Chat({ user }: { user: string }) {
  const { room: name, rooms, enter } = useRoomName()

  return (
    <>
      <header className="side">
        <p className="brand">
          <img src={icon} alt="" /> <span>Skerry chat</span>
        </p>
        <nav aria-label="Rooms">
          <ul>
            {rooms.map(other => (
              <li key={other}>
                <RoomLink name={other} current={other === name} enter={enter} />
              </li>
            ))}
          </ul>
        </nav>
        <OneLineForm label="Room to enter" placeholder="New room" action="Enter" onText={enter} />
        <p className="self">
          <span className="name" title={user}>
            {user}
          </span>
          <button type="button" onClick={() => setName('')}>
            Change name
          </button>
        </p>
      </header>
      <Conversation key={name} room={roomOf(name, user)} user={user} />
    </>
  )
}

function RoomLink({ name, current, enter }: { name: string; current: boolean; enter(name: string): void }) {
  const room = openRooms.get(name)
  const link = useRef<HTMLAnchorElement>(null)

  useEffect(() => {
    if (current) link.current!.scrollIntoView({ block: 'nearest', inline: 'nearest' })
  }, [current])

  return (
    <a
      ref={link}
      href={roomUrl(name)}
      aria-current={current ? 'page' : undefined}
      title={name}
      onClick={event => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return
        event.preventDefault()
        enter(name)
      }}
    >
      <span className="name">{name}</span>
      {room && !current && <Waiting room={room} />}
    </a>
  )
}

/** What still waits in a room that is not in sight. */
function Waiting({ room }: { room: Room }) {
  const pending = usePending(room.scope)
  return pending > 0 && <span className="waiting">{pending} waiting</span>
}

type OneLineFormProps = { label: string; placeholder?: string; action: string; focus?: boolean; onText(text: string): void }

function OneLineForm({ label, placeholder, action, focus, onText }: OneLineFormProps) {
  const [text, setText] = useState('')

  function submit(event: FormEvent) {
    event.preventDefault()
    if (text.trim()) onText(text.trim())
    setText('')
  }

  return (
    <form className="one-line" onSubmit={submit}>
      <input
        aria-label={label}
        placeholder={placeholder}
        value={text}
        maxLength={60}
        autoFocus={focus}
        autoComplete="off"
        onChange={event => setText(event.target.value)}
      />
      <button type="submit">{action}</button>
    </form>
  )
}

function Welcome() {
  return (
    <main className="welcome">
      <img src={icon} alt="" />
      <h1>Skerry chat</h1>
      <p>Under which name do you want to write? Any will do. Another window can be somebody else.</p>
      <OneLineForm label="Your name" placeholder="Your name" action="Start" focus onText={setName} />
    </main>
  )
}

const user = currentName()
createRoot(document.getElementById('app')!).render(<StrictMode>{user ? <Chat user={user} /> : <Welcome />}</StrictMode>)
