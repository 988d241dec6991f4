// SPDX-License-Identifier: Apache-2.0

// The connections of other users, for administrators. Each look is written to
// the audit log, so nothing is asked for before somebody wants to see it.
import { useState } from 'preact/hooks'
import { sentence } from '../../api'
import { Badge, Button, Check, Panel } from '../../ui/basics'
import { toast } from '../../ui/toast'
import * as stream from './stream'
import type { Connection } from './types'

export function Others() {
  const [all, setAll] = useState<Connection[]>()
  const [reveal, setReveal] = useState(false)
  const look = async () => {
    try {
      setAll(await stream.everybody())
    } catch (error) {
      toast(sentence(error), 'bad')
    }
  }
  const save = async (c: Connection, format: 'text' | 'pcapng') => {
    try {
      await stream.saveOthers(c.serial, format, reveal)
    } catch (error) {
      toast(sentence(error), 'bad')
    }
  }
  return (
    <Panel
      title="Connections of everybody"
      actions={
        <Button small icon={all ? 'reload' : 'search'} onClick={() => void look()}>
          {all ? 'Look again' : 'Look'}
        </Button>
      }
    >
      <p class="hint">Passwords and messages are covered in what you save; the audit log says that you looked.</p>
      {all?.length === 0 && <p>Nobody has a connection under the microscope.</p>}
      {all && all.length > 0 && (
        <>
          <Check label="Uncover them; the audit log says so" checked={reveal} onValue={setReveal} />
          <ul class="everybody">
            {all.map((c) => (
              <li key={c.serial}>
                <strong>{c.owner}</strong> <code>{c.url}</code> <Badge tone={c.phase === 'open' ? 'ok' : 'plain'}>{c.phase}</Badge>
                <span>
                  <Button small onClick={() => void save(c, 'text')}>
                    Text
                  </Button>
                  <Button small onClick={() => void save(c, 'pcapng')}>
                    pcapng
                  </Button>
                </span>
              </li>
            ))}
          </ul>
        </>
      )}
    </Panel>
  )
}
