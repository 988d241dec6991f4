// SPDX-License-Identifier: Apache-2.0

// Watching a client of the broker: its own connection, live, for administrators.
// The audit log says who watched whom.
import { useState } from 'preact/hooks'
import { sentence } from '../../api'
import { Button, Check, Panel, TextField } from '../../ui/basics'
import * as stream from './stream'
import type { Connection } from './types'

export function WatchForm({ client, onOpened }: { client: string; onOpened: (id: string) => void }) {
  const [id, setID] = useState(client)
  const [reveal, setReveal] = useState(false)
  const [actors, setActors] = useState(false)
  const [error, setError] = useState<string>()
  const [busy, setBusy] = useState(false)
  const watch = async (e: Event) => {
    e.preventDefault()
    setBusy(true)
    setError(undefined)
    try {
      onOpened((await stream.watch(id, reveal, actors)).id)
    } catch (failed) {
      setError(sentence(failed))
    }
    setBusy(false)
  }
  return (
    <Panel title="Watch a client">
      <p class="lead">
        What a connected client and the broker say to each other, live and byte by byte. The client notices nothing; the audit log says that you
        watched. Passwords and messages are covered before anything is kept.
      </p>
      <form class="form" onSubmit={watch}>
        <TextField label="Client ID" required value={id} onValue={setID} placeholder="of a client that is connected" />
        <div class="field">
          <Check label="Uncover passwords and messages; the audit log says so" checked={reveal} onValue={setReveal} />
          <Check label="Show its actors, too; that costs every connection a little" checked={actors} onValue={setActors} />
        </div>
        {error && (
          <p class="error wide" role="alert">
            {error}
          </p>
        )}
        <div class="end">
          <Button type="submit" icon="search" disabled={busy}>
            Watch
          </Button>
        </div>
      </form>
    </Panel>
  )
}

/** Watched says what is looked at, where the panel to send would be. */
export const Watched = ({ c }: { c: Connection }) => (
  <p class="hint">
    The client’s own connection: it can be watched and not used.{' '}
    {c.revealed ? 'Passwords and messages are shown as they are.' : 'Passwords and messages are covered with asterisks.'} What was said before is not
    known here; a client that says too much at once is not shown in full, and the list says how much was passed over.
  </p>
)
