// SPDX-License-Identifier: Apache-2.0

import { useState } from 'preact/hooks'
import { age, bytes, count, time } from '../format'
import { link } from '../router'
import { admin } from '../session'
import type { Client } from '../types'
import { Badge, Button, Code, Named, Panel } from '../ui/basics'
import { type Column, Table } from '../ui/table'
import { ClientPage } from './client'
import { kick } from './kick'
import type { Page } from './page'

const columns: Column<Client>[] = [
  {
    key: 'id',
    title: 'Client ID',
    sort: 'client_id',
    main: true,
    cell: (c) => (
      <a href={link('clients', [c.client_id])}>
        <Code>{c.client_id}</Code>
      </a>
    ),
  },
  { key: 'user', title: 'User name', sort: 'username', cell: (c) => (c.username ? <Named name={c.username} /> : <span class="dim">none</span>) },
  { key: 'peer', title: 'Address', cell: (c) => <Code>{c.peer ?? '–'}</Code> },
  { key: 'listener', title: 'Listener', cell: (c) => c.listener },
  {
    key: 'protocol',
    title: 'MQTT',
    cell: (c) => (
      <>
        {c.protocol} {c.congested && <Badge tone="warn">congested</Badge>}
      </>
    ),
  },
  { key: 'alive', title: 'Keep alive', align: 'right', cell: (c) => (c.keep_alive_seconds ? `${count(c.keep_alive_seconds)} s` : 'off') },
  { key: 'in', title: 'Received', sort: 'received_bytes', align: 'right', cell: (c) => bytes(c.received_bytes) },
  { key: 'out', title: 'Sent', sort: 'sent_bytes', align: 'right', cell: (c) => bytes(c.sent_bytes) },
  { key: 'queued', title: 'Queued', sort: 'queued', align: 'right', cell: (c) => count(c.queued) },
  {
    key: 'since',
    title: 'Connected',
    sort: 'connected_at',
    cell: (c) => <span title={time(c.connected_at)}>{age(c.connected_at)}</span>,
  },
]

function Clients({ rest }: { rest: string[] }) {
  const [version, setVersion] = useState(0)
  const id = rest[0]
  if (id !== undefined) return <ClientPage id={id} />
  return (
    <Panel flush>
      <Table
        label="Connected clients"
        path="/clients"
        search="Client ID, user name or address"
        columns={columns}
        rowKey={(c) => c.client_id}
        sort="client_id"
        version={version}
        empty={
          <>
            No client is connected. Open <a href={link('websocket')}>WebSocket</a> to connect one from here, or run{' '}
            <code>emqtt sub -t '#'</code>.
          </>
        }
        actions={
          admin()
            ? (c) => (
                <Button small look="quiet" icon="close" label={`Disconnect ${c.client_id}`} onClick={() => kick(c.client_id, () => setVersion(version + 1))} />
              )
            : undefined
        }
      />
    </Panel>
  )
}

export const clients: Page = {
  id: 'clients',
  title: 'Clients',
  about: 'Who is connected now: one row is one connection.',
  group: 'Monitor',
  icon: 'clients',
  view: Clients,
}
