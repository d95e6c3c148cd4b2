/** refusals - what the server refused in a room, with its reason, until the writer has taken the text back or let it go. */
import { eq, useLiveQuery } from '@tanstack/react-db'
import { refusals, type Refusal, type Room } from './room'

type Props = { room: Room; onPutBack(refusal: Refusal): void; onDismiss(): void }

export function Refusals({ room, onPutBack, onDismiss }: Props) {
  const { data } = useLiveQuery({
    query: q => q.from({ refusal: refusals }).where(({ refusal }) => eq(refusal.room, room.name)),
  })

  function settle(refusal: Refusal, then: (refusal: Refusal) => void) {
    refusals.delete(refusal.id)
    then(refusal)
  }

  return (
    <div role="alert" className="refusals">
      {data.map(refusal => (
        <div key={refusal.id}>
          <p>
            <strong>Your {refusal.what} was refused:</strong> {refusal.reason}
          </p>
          <blockquote>{refusal.message.text}</blockquote>
          {refusal.what !== 'deletion' && (
            <button type="button" onClick={() => settle(refusal, onPutBack)}>
              Correct it
            </button>
          )}
          <button type="button" className="quiet" onClick={() => settle(refusal, onDismiss)}>
            Dismiss
          </button>
        </div>
      ))}
    </div>
  )
}
