// SPDX-License-Identifier: Apache-2.0

// Subscriptions, and how an administrator adds and takes away one.
import { useState } from 'preact/hooks'
import { del, post, segment } from '../api'
import { link } from '../router'
import { admin } from '../session'
import type { Subscription } from '../types'
import { Badge, Button, Code, SelectField, TextField } from '../ui/basics'
import { ask, FormDialog } from '../ui/dialog'
import { type Column, Rows } from '../ui/table'
import { toast } from '../ui/toast'

export const columns: Column<Subscription>[] = [
  {
    key: 'client',
    title: 'Client ID',
    sort: 'client_id',
    cell: (s) => (
      <a href={link('clients', [s.client_id])}>
        <Code>{s.client_id}</Code>
      </a>
    ),
  },
  { key: 'filter', title: 'Topic filter', sort: 'filter', main: true, cell: (s) => <Code>{s.filter}</Code> },
  { key: 'qos', title: 'QoS', align: 'right', cell: (s) => String(s.qos) },
  {
    key: 'options',
    title: 'Options',
    align: 'text',
    cell: (s) => (
      <span class="badges">
        {s.share_group && <Badge tone="info">shared: {s.share_group}</Badge>}
        {s.no_local && <Badge>no local</Badge>}
        {s.retain_as_published && <Badge>retain as published</Badge>}
        {s.subscription_ids?.map((id) => <Badge key={id}>id {id}</Badge>)}
        {s.durable && <Badge>kept</Badge>}
        {!s.share_group && !s.no_local && !s.retain_as_published && !s.subscription_ids?.length && !s.durable && <span class="dim">none</span>}
      </span>
    ),
  },
]

export const remove = (changed: () => void) =>
  admin()
    ? (s: Subscription) => (
        <Button
          small
          look="quiet"
          icon="trash"
          label={`Unsubscribe ${s.client_id} from ${s.filter}`}
          onClick={() =>
            ask({
              title: 'Take this subscription away?',
              body: (
                <p>
                  <Code>{s.client_id}</Code> gets nothing more from <Code>{s.filter}</Code>. The client is not told.
                </p>
              ),
              action: 'Unsubscribe',
              danger: true,
              submit: async () => {
                await del(`/clients/${segment(s.client_id)}/subscriptions?filter=${segment(s.filter)}`)
                toast('The subscription is gone.')
                changed()
              },
            })
          }
        />
      )
    : undefined

export function SubscriptionRows({ rows, changed }: { rows: Subscription[]; changed: () => void }) {
  return (
    <Rows
      label="Subscriptions"
      rowKey={(s) => s.client_id + ' ' + s.filter}
      rows={rows}
      columns={columns.slice(1)}
      actions={remove(changed)}
    />
  )
}

export function SubscribeDialog({ client, onClose }: { client?: string; onClose: () => void }) {
  const [id, setID] = useState(client ?? '')
  const [filter, setFilter] = useState('')
  const [qos, setQoS] = useState<'0' | '1' | '2'>('1')
  const submit = async () => {
    await post(`/clients/${segment(id)}/subscriptions`, { filter, qos: Number(qos) })
    toast(`${id} is subscribed to ${filter}.`)
  }
  return (
    <FormDialog title="Subscribe a client" action="Subscribe" submit={submit} onClose={onClose}>
      {client === undefined && <TextField label="Client ID" required autofocus value={id} onValue={setID} />}
      <TextField label="Topic filter" required autofocus={client !== undefined} placeholder="room/+/temperature" value={filter} onValue={setFilter} />
      <SelectField
        label="QoS"
        value={qos}
        onValue={setQoS}
        options={[
          ['0', '0, at most once'],
          ['1', '1, at least once'],
          ['2', '2, exactly once'],
        ]}
      />
    </FormDialog>
  )
}
