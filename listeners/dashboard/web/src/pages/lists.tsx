// SPDX-License-Identifier: Apache-2.0

// The pages that are one table: sessions, topics, routes, subscriptions,
// listeners.
import { useState } from 'preact/hooks'
import { del, segment, useResource } from '../api'
import { age, bytes, count, duration, expiry, time } from '../format'
import { link, setQuery, useRoute } from '../router'
import { admin } from '../session'
import type { Listener, Route, Session, Subscription, Topic } from '../types'
import { Badge, Button, Check, Code, Empty, Failure, Loading, Panel } from '../ui/basics'
import { ask } from '../ui/dialog'
import { type Column, Rows, Table } from '../ui/table'
import { toast } from '../ui/toast'
import type { Page } from './page'
import { columns as subscriptionColumns, remove, SubscribeDialog } from './subscribing'

const sessionColumns: Column<Session>[] = [
  {
    key: 'id',
    title: 'Client ID',
    sort: 'client_id',
    main: true,
    cell: (s) =>
      s.connected ? (
        <a href={link('clients', [s.client_id])}>
          <Code>{s.client_id}</Code>
        </a>
      ) : (
        <Code>{s.client_id}</Code>
      ),
  },
  {
    key: 'state',
    title: 'State',
    cell: (s) =>
      s.connected ? <Badge tone="ok">connected</Badge> : <span title={time(s.disconnected_at)}>gone for {age(s.disconnected_at)}</span>,
  },
  { key: 'kept', title: 'Kept', cell: (s) => (s.durable ? 'in the store' : 'in memory') },
  { key: 'ends', title: 'Ends', cell: (s) => expiry(s.expiry_seconds) },
  { key: 'subs', title: 'Subscriptions', align: 'right', cell: (s) => count(s.subscriptions) },
  { key: 'inflight', title: 'In flight', align: 'right', cell: (s) => `${count(s.inflight)} / ${count(s.max_inflight)}` },
  { key: 'queued', title: 'Queued', align: 'right', cell: (s) => <span title={bytes(s.queued_bytes)}>{count(s.queued)}</span> },
  { key: 'rel', title: 'Awaits PUBREL', align: 'right', cell: (s) => count(s.awaiting_rel) },
  { key: 'created', title: 'Created', cell: (s) => <span title={time(s.created_at)}>{age(s.created_at)} ago</span> },
]

function Sessions() {
  const [version, setVersion] = useState(0)
  const end = (s: Session) =>
    ask({
      title: 'End this session?',
      body: (
        <p>
          <Code>{s.client_id}</Code> loses its subscriptions and {count(s.queued + s.inflight)} messages that wait for it.
          {s.connected && ' It is disconnected.'}
        </p>
      ),
      action: 'End the session',
      danger: true,
      submit: async () => {
        await del('/sessions/' + segment(s.client_id))
        toast('The session has ended.')
        setVersion((v) => v + 1)
      },
    })
  return (
    <Panel flush>
      <Table
        label="Sessions"
        path="/sessions"
        search="Client ID"
        columns={sessionColumns}
        rowKey={(s) => s.client_id}
        sort="client_id"
        version={version}
        empty="There is no session. A client that connects makes one; with clean session off or an expiry it stays when the client goes."
        actions={admin() ? (s) => <Button small look="quiet" icon="trash" label={`End the session of ${s.client_id}`} onClick={() => end(s)} /> : undefined}
      />
    </Panel>
  )
}

const topicColumns: Column<Topic>[] = [
  { key: 'topic', title: 'Topic', sort: 'topic', main: true, cell: (t) => <Code>{t.topic}</Code> },
  { key: 'subscribers', title: 'Subscribers', align: 'right', cell: (t) => count(t.subscribers) },
  {
    key: 'retained',
    title: 'Retained message',
    cell: (t) => (t.retained ? <a href={link('retained', [], { topic: t.topic })}>yes</a> : <span class="dim">no</span>),
  },
]

function Topics() {
  const sys = useRoute().query.get('sys') === 'yes'
  return (
    <Panel flush>
      <Table
        label="Topics"
        path="/topics"
        filter={{ sys: sys ? undefined : 'false' }}
        search="Topic"
        columns={topicColumns}
        rowKey={(t) => t.topic}
        sort="topic"
        empty="No topic is subscribed to by name and none has a retained message."
        tools={<Check label="The broker’s own, $SYS, too" checked={sys} onValue={(on) => setQuery({ sys: on ? 'yes' : '', page: '' })} />}
      />
    </Panel>
  )
}

const routeColumns: Column<Route>[] = [
  { key: 'filter', title: 'Topic filter', sort: 'filter', main: true, cell: (r) => <Code>{r.filter}</Code> },
  { key: 'node', title: 'Node', cell: (r) => <Code>{r.node}</Code> },
  { key: 'subscribers', title: 'Subscribers', align: 'right', cell: (r) => count(r.subscribers) },
  {
    key: 'groups',
    title: 'Shared by',
    align: 'text',
    cell: (r) => (
      <span class="badges">
        {(r.groups ?? []).map((g) => (
          <Badge key={g.name} tone="info">
            {g.name}: {count(g.members)}
          </Badge>
        ))}
        {!r.groups?.length && <span class="dim">nobody</span>}
      </span>
    ),
  },
]

const Routes = () => (
  <Panel flush>
    <Table
      label="Routes"
      path="/routes"
      search="Topic filter"
      columns={routeColumns}
      rowKey={(r) => r.filter + ' ' + r.node}
      sort="filter"
      empty="The routing table is empty: nobody has subscribed to anything."
    />
  </Panel>
)

function Subscriptions() {
  const [version, setVersion] = useState(0)
  const [adding, setAdding] = useState(false)
  const changed = () => setVersion((v) => v + 1)
  return (
    <Panel flush>
      <Table<Subscription>
        label="Subscriptions"
        path="/subscriptions"
        search="Client ID or topic filter"
        columns={subscriptionColumns}
        rowKey={(s) => s.client_id + ' ' + s.filter}
        sort="client_id"
        version={version}
        empty="Nobody has subscribed to anything."
        actions={remove(changed)}
        tools={
          admin() && (
            <Button icon="plus" onClick={() => setAdding(true)}>
              Subscribe a client
            </Button>
          )
        }
      />
      {adding && (
        <SubscribeDialog
          onClose={() => {
            setAdding(false)
            changed()
          }}
        />
      )}
    </Panel>
  )
}

function Listeners() {
  const { data, error, reload } = useResource<Listener[]>('/listeners', 3000)
  if (!data) return error === undefined ? <Loading /> : <Failure error={error} retry={reload} />
  return (
    <Panel flush>
      {data.length === 0 ? (
        <Empty>No port is open: every listener’s bind is empty in the configuration.</Empty>
      ) : (
        <Rows
          label="Listeners"
          rowKey={(l) => l.name}
          rows={data}
          columns={[
            { key: 'name', title: 'Name', main: true, cell: (l) => <Code title={l.key}>{l.name}</Code> },
            { key: 'address', title: 'Address', cell: (l) => <Code>{l.address}</Code> },
            {
              key: 'state',
              title: 'State',
              cell: (l) => (
                <span class="badges">
                  <Badge tone={l.running ? 'ok' : 'bad'}>{l.running ? 'open' : 'closed'}</Badge>
                  {l.loopback && <Badge title="Only this machine can reach it">loopback</Badge>}
                  {l.allow_anonymous && <Badge tone={l.loopback ? 'plain' : 'warn'}>anonymous allowed</Badge>}
                  {l.certificate_not_after && <Certificate until={l.certificate_not_after} soon={l.certificate_expiring} />}
                </span>
              ),
            },
            { key: 'now', title: 'Connections', align: 'right', cell: (l) => count(l.connections) },
            { key: 'max', title: 'At most', align: 'right', cell: (l) => (l.max_connections ? count(l.max_connections) : 'no limit') },
            { key: 'rate', title: 'New a second, at most', align: 'right', cell: (l) => (l.max_connect_rate ? count(l.max_connect_rate) : 'no limit') },
            { key: 'accepted', title: 'Accepted', align: 'right', cell: (l) => count(l.accepted) },
            { key: 'full', title: 'Turned away: full', align: 'right', cell: (l) => count(l.turned_away_full) },
            { key: 'denied', title: 'Turned away: denied', align: 'right', cell: (l) => count(l.turned_away_denied) },
          ]}
        />
      )}
    </Panel>
  )
}

/** Certificate says how long a listener's certificate, and all above it, are good. */
function Certificate({ until, soon }: { until: string; soon?: boolean }) {
  const left = (Date.parse(until) - Date.now()) / 1000
  const title = `The certificate, or one that signs it, ends ${time(until)}`
  if (left <= 0) return <Badge tone="bad" title={title}>certificate expired</Badge>
  return <Badge tone={soon ? 'warn' : 'plain'} title={title}>certificate: {duration(left)} left</Badge>
}

export const sessions: Page = {
  id: 'sessions',
  title: 'Sessions',
  about: 'What is kept for each client ID: subscriptions, and messages in flight and queued. Some sessions outlive their connection.',
  group: 'Monitor',
  icon: 'sessions',
  view: Sessions,
}
export const topics: Page = {
  id: 'topics',
  title: 'Topics',
  about: 'Topics that somebody subscribes to by their full name, or that have a retained message.',
  group: 'Messages',
  icon: 'topics',
  view: Topics,
}
export const routes: Page = {
  id: 'routes',
  title: 'Routes',
  about: 'The routing table: a message goes to the subscribers of every filter that matches its topic.',
  group: 'Messages',
  icon: 'routes',
  view: Routes,
}
export const subscriptions: Page = {
  id: 'subscriptions',
  title: 'Subscriptions',
  about: 'Who has subscribed to what, and how.',
  group: 'Messages',
  icon: 'subscriptions',
  view: Subscriptions,
}
export const listeners: Page = {
  id: 'listeners',
  title: 'Listeners',
  about: 'The ports that clients connect to, and whom they have turned away.',
  group: 'Manage',
  icon: 'listeners',
  view: Listeners,
}
