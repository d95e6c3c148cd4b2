/**
 * place - who is here, and in which room: from the URL, `?user=ann&room=lobby`.
 *
 * A name that was typed is kept for this window only, so that two windows can be two people. The rooms that were
 * visited are kept for all windows; the server has no list of rooms, a room is there once something is written in it.
 */
import { useEffect, useState } from 'react'

const nameKey = 'skerry-chat-name'
const roomsKey = 'skerry-chat-rooms'

/** A name that can be used, or undefined: some text, not endless, and not '.' or '..', which an address cannot hold. */
function asName(text: string | null) {
  const name = [...(text ?? '').trim()].slice(0, 60).join('')
  return ['', '.', '..'].includes(name) ? undefined : name
}

function parameter(name: string) {
  return asName(new URLSearchParams(location.search).get(name))
}

function currentRoom() {
  return parameter('room') ?? 'lobby'
}

/** The URL of a room, for the same person. */
export function roomUrl(room: string) {
  const parameters = new URLSearchParams(location.search)
  parameters.set('room', room)
  return `?${parameters}`
}

export function currentName() {
  return parameter('user') ?? asName(sessionStorage.getItem(nameKey))
}

/** Become somebody else, or with an empty name be asked. Starts the page anew, because a connection has one user. */
export function setName(name: string) {
  const parameters = new URLSearchParams(location.search)
  parameters.delete('user')
  if (name) sessionStorage.setItem(nameKey, name)
  else sessionStorage.removeItem(nameKey)
  location.assign(`${location.pathname}?${parameters}`)
}

/** The room in the URL, the rooms that were visited, and the way into another. */
export function useRoomName() {
  const [room, setRoom] = useState(currentRoom)

  useEffect(() => {
    const follow = () => setRoom(currentRoom())
    addEventListener('popstate', follow)
    return () => removeEventListener('popstate', follow)
  }, [])

  function enter(name: string) {
    history.pushState(null, '', roomUrl(name))
    setRoom(currentRoom())
  }

  const visited = JSON.parse(localStorage.getItem(roomsKey) ?? '["lobby"]') as string[]
  const rooms = visited.includes(room) ? visited : [...visited, room]
  useEffect(() => localStorage.setItem(roomsKey, JSON.stringify(rooms)))

  return { room, rooms, enter }
}
