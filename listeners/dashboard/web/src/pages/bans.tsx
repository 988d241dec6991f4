// SPDX-License-Identifier: Apache-2.0

import { useState } from 'preact/hooks'
import { del, post, segment } from '../api'
import { age, time } from '../format'
import { admin } from '../session'
import type { Ban } from '../types'
import { Badge, Button, Code, Panel, SelectField, TextField } from '../ui/basics'
import { ask, FormDialog } from '../ui/dialog'
import { type Column, Table } from '../ui/table'
import { toast } from '../ui/toast'
import type { Page } from './page'

const kinds = [
  ['client', 'Client ID'],
  ['user', 'User name'],
  ['address', 'Address'],
] as const
type Kind = (typeof kinds)[number][0]

const spans = [
  ['300', '5 minutes'],
  ['3600', '1 hour'],
  ['86400', '1 day'],
  ['604800', '1 week'],
  ['', 'until it is removed'],
] as const

const columns: Column<Ban>[] = [
  { key: 'kind', title: 'Whom', cell: (b) => <Badge>{kinds.find(([k]) => k === b.kind)?.[1] ?? b.kind}</Badge> },
  { key: 'value', title: 'Value', main: true, cell: (b) => <Code>{b.value}</Code> },
  { key: 'until', title: 'Until', cell: (b) => (b.until ? time(b.until) : 'it is removed') },
  { key: 'at', title: 'Since', cell: (b) => <span title={time(b.at)}>{age(b.at)} ago</span> },
  { key: 'by', title: 'By', cell: (b) => b.by || 'the broker' },
  { key: 'reason', title: 'Reason', align: 'text', cell: (b) => b.reason || <span class="dim">none given</span> },
]

export function BanDialog({ kind: firstKind, value: first, onClose }: { kind?: Kind; value?: string; onClose: () => void }) {
  const [kind, setKind] = useState<Kind>(firstKind ?? 'client')
  const [value, setValue] = useState(first ?? '')
  const [seconds, setSeconds] = useState<(typeof spans)[number][0]>('3600')
  const [reason, setReason] = useState('')
  const submit = async () => {
    const until = seconds === '' ? undefined : new Date(Date.now() + Number(seconds) * 1000).toISOString()
    await post('/bans', { kind, value, until, reason: reason || undefined })
    toast(`${value} is banned.`)
  }
  return (
    <FormDialog title="Keep somebody out" action="Ban" danger submit={submit} onClose={onClose}>
      <SelectField label="Whom" value={kind} options={kinds} onValue={setKind} />
      <TextField label={kinds.find(([k]) => k === kind)![1]} required autofocus={!first} value={value} onValue={setValue} />
      <SelectField label="For" value={seconds} options={spans} onValue={setSeconds} />
      <TextField label="Reason" value={reason} onValue={setReason} hint="For those who look at this list later. The client is not told." />
    </FormDialog>
  )
}

function Bans() {
  const [version, setVersion] = useState(0)
  const [adding, setAdding] = useState(false)
  const lift = (b: Ban) =>
    ask({
      title: 'Lift this ban?',
      body: (
        <p>
          <Code>{b.value}</Code> may connect again.
        </p>
      ),
      action: 'Lift it',
      submit: async () => {
        await del(`/bans/${segment(b.kind)}/${segment(b.value)}`)
        toast('The ban is lifted.')
        setVersion((v) => v + 1)
      },
    })
  return (
    <Panel flush>
      <Table
        label="Bans"
        path="/bans"
        search="Client ID, user name or address"
        columns={columns}
        rowKey={(b) => b.kind + ' ' + b.value}
        version={version}
        empty="Nobody is kept out. A client whose packets crash the same actor again and again is banned for a while by the broker itself."
        tools={
          admin() && (
            <Button icon="plus" onClick={() => setAdding(true)}>
              Ban somebody
            </Button>
          )
        }
        actions={admin() ? (b) => <Button small look="quiet" icon="trash" label={`Lift the ban of ${b.value}`} onClick={() => lift(b)} /> : undefined}
      />
      {adding && (
        <BanDialog
          onClose={() => {
            setAdding(false)
            setVersion((v) => v + 1)
          }}
        />
      )}
    </Panel>
  )
}

export const bans: Page = {
  id: 'bans',
  title: 'Bans',
  about: 'Client IDs, user names and addresses that are not let in.',
  group: 'Manage',
  icon: 'bans',
  view: Bans,
}
