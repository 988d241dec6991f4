// SPDX-License-Identifier: Apache-2.0

import type { ComponentChildren } from 'preact'
import { useResource } from '../api'
import { bytes, clock, count, duration, moment, rate, time } from '../format'
import { link } from '../router'
import { history, room } from '../stats'
import { useStore } from '../store'
import type { Gauge, Listener, Metrics, Node, Stats } from '../types'
import { Badge, Code, Empty, Facts, Failure, Loading, Panel } from '../ui/basics'
import { Sparkline } from '../ui/sparkline'
import { Rows } from '../ui/table'
import { ActiveAlarms } from './alarms'
import type { Page } from './page'

function Overview() {
  const seconds = useStore(history)
  const first = useResource<Stats>('/stats')
  const now = seconds[seconds.length - 1] ?? first.data
  if (!now) return first.error === undefined ? <Loading /> : <Failure error={first.error} retry={first.reload} />
  return (
    <>
      <ActiveAlarms />
      <Tiles now={now} seconds={seconds.length > 0 ? seconds : [now]} />
      <div class="columns">
        <Totals now={now} />
        <NodeFacts />
      </div>
      <Listeners />
      <Counters />
    </>
  )
}

interface TileProps {
  name: string
  figure: string
  unit?: string
  more?: ComponentChildren
  of: (s: Stats) => number
  write: (n: number) => string
  seconds: Stats[]
}

function Tile({ name, figure, unit, more, of, write, seconds }: TileProps) {
  const at = (i: number) => clock(moment(seconds[i]?.at) ?? new Date())
  return (
    <div class="tile">
      <span class="name">{name}</span>
      <span class="figure">
        {figure} {unit && <small>{unit}</small>}
      </span>
      <Sparkline label={name} values={seconds.map(of)} room={room} write={write} when={at} />
      {more && <span class="more">{more}</span>}
    </div>
  )
}

function Tiles({ now, seconds }: { now: Stats; seconds: Stats[] }) {
  const r = now.rates
  return (
    <div class="tiles">
      <Tile
        name="Connections"
        figure={count(now.connections.now)}
        more={`${rate(r.connects)} new a second`}
        of={(s) => s.connections.now}
        write={count}
        seconds={seconds}
      />
      <Tile
        name="Messages in"
        figure={rate(r.received_messages)}
        unit="/s"
        more={`${rate(r.received_packets)} packets a second`}
        of={(s) => s.rates.received_messages}
        write={rate}
        seconds={seconds}
      />
      <Tile
        name="Messages out"
        figure={rate(r.sent_messages)}
        unit="/s"
        more={`${rate(r.sent_packets)} packets a second`}
        of={(s) => s.rates.sent_messages}
        write={rate}
        seconds={seconds}
      />
      <Tile
        name="Traffic"
        figure={bytes(r.received_bytes + r.sent_bytes)}
        unit="/s"
        more={`${bytes(r.received_bytes)} in, ${bytes(r.sent_bytes)} out`}
        of={(s) => s.rates.received_bytes + s.rates.sent_bytes}
        write={bytes}
        seconds={seconds}
      />
      <Tile
        name="Dropped"
        figure={rate(r.dropped_messages)}
        unit="/s"
        more="by reason below"
        of={(s) => s.rates.dropped_messages}
        write={rate}
        seconds={seconds}
      />
      <Tile
        name="Heap"
        figure={bytes(now.heap_bytes.now)}
        more={`${count(now.goroutines.now)} goroutines`}
        of={(s) => s.heap_bytes.now}
        write={bytes}
        seconds={seconds}
      />
    </div>
  )
}

function Totals({ now }: { now: Stats }) {
  const rows: [name: string, page: string, gauge: Gauge, write?: (n: number) => string][] = [
    ['Clients', 'clients', now.clients],
    ['Sessions', 'sessions', now.sessions],
    ['Subscriptions', 'subscriptions', now.subscriptions],
    ['Routes', 'routes', now.routes],
    ['Retained messages', 'retained', now.retained],
    ['Retained bytes', 'retained', now.retained_bytes, bytes],
    ['Queued bytes', 'sessions', now.queued_bytes, bytes],
  ]
  return (
    <Panel title="What the broker holds" flush>
      <Rows
        compact
        label="What the broker holds"
        rowKey={([name]) => name}
        rows={rows}
        columns={[
          { key: 'what', title: 'What', main: true, cell: ([name, page]) => <a href={link(page)}>{name}</a> },
          { key: 'now', title: 'Now', align: 'right', cell: ([, , g, write = count]) => write(g.now) },
          { key: 'max', title: 'Highest', align: 'right', cell: ([, , g, write = count]) => <span title="Since the broker started">{write(g.max)}</span> },
        ]}
      />
    </Panel>
  )
}

function NodeFacts() {
  const { data: n, error, reload } = useResource<Node>('/node', 5000)
  return (
    <Panel title="Node" actions={n && <Badge tone={n.ready ? 'ok' : 'bad'}>{n.ready ? 'Ready' : 'Not ready'}</Badge>}>
      {!n ? (
        error === undefined ? (
          <Loading />
        ) : (
          <Failure error={error} retry={reload} />
        )
      ) : (
        <Facts
          rows={[
            ['Name', <Code>{n.name}</Code>],
            ['Version', n.version],
            ['Up', duration(n.uptime_seconds), `Since ${time(n.started_at)}`],
            ['System time', time(n.now)],
            ['Process', `${n.pid} on ${n.os}/${n.arch}, ${n.cpus} CPUs`],
            ['Go', n.go_version],
            ['Memory', bytes(n.memory_bytes) + (n.memory_limit_bytes ? ` of ${bytes(n.memory_limit_bytes)}` : '')],
            ['Collections', count(n.gc_count)],
            ['Open files at most', n.max_files ? count(n.max_files) : 'unknown'],
            ['Store', `${n.store}${n.data_dir ? ' in ' + n.data_dir : ''}`],
            ['Event loops', n.loops.map((l) => `${count(l.connections)}`).join(' + ') + ' connections', 'Connections of each loop'],
          ]}
        />
      )}
    </Panel>
  )
}

function Listeners() {
  const { data, error, reload } = useResource<Listener[]>('/listeners', 5000)
  return (
    <Panel title="Listeners" actions={<a href={link('listeners')}>All about them</a>} flush>
      {error !== undefined && !data && <Failure error={error} retry={reload} />}
      {data?.length === 0 && <Empty>No port is open: every listener’s bind is empty in the configuration.</Empty>}
      {data && data.length > 0 && (
        <Rows
          label="Listeners"
          rowKey={(l) => l.name}
          rows={data}
          columns={[
            { key: 'name', title: 'Name', main: true, cell: (l) => <Code>{l.name}</Code> },
            { key: 'address', title: 'Address', cell: (l) => <Code>{l.address}</Code> },
            { key: 'now', title: 'Connections', align: 'right', cell: (l) => count(l.connections) },
            { key: 'most', title: 'At most', align: 'right', cell: (l) => (l.max_connections > 0 ? count(l.max_connections) : 'no limit') },
            { key: 'accepted', title: 'Accepted', align: 'right', cell: (l) => count(l.accepted) },
            {
              key: 'state',
              title: 'State',
              cell: (l) => <Badge tone={l.running ? 'ok' : 'bad'}>{l.running ? 'Open' : 'Closed'}</Badge>,
            },
          ]}
        />
      )}
    </Panel>
  )
}

/** Counters are emqttd's three tables of metrics, and why things ended. */
function Counters() {
  const { data: m } = useResource<Metrics>('/metrics', 5000)
  if (!m) return null
  const types = [...new Set([...Object.keys(m.received_packets), ...Object.keys(m.sent_packets)])]
  const levels = [...new Set([...Object.keys(m.received_messages), ...Object.keys(m.sent_messages)])].sort()
  return (
    <div class="columns">
      <InOut title="Packets" rows={types.map((t) => [t, m.received_packets[t] ?? 0, m.sent_packets[t] ?? 0])} />
      <div class="stack">
        <InOut
          title="Messages and bytes"
          rows={[
            ...levels.map((l): [string, number, number] => [l.replace('qos', 'QoS '), m.received_messages[l] ?? 0, m.sent_messages[l] ?? 0]),
            ['Bytes', m.received_bytes, m.sent_bytes],
          ]}
        />
        <Reasons title="Dropped, by reason" of={m.dropped} none="No message was dropped since the start." />
        <Reasons title="Connections closed, by reason" of={m.closed} none="No connection was closed since the start." />
        <Reasons title="CONNECT refused, by reason" of={m.refused} none="No CONNECT was refused since the start." />
      </div>
    </div>
  )
}

function InOut({ title, rows }: { title: string; rows: [name: string, received: number, sent: number][] }) {
  const shown = rows.filter(([, a, b]) => a + b > 0)
  return (
    <Panel title={title} flush>
      {shown.length === 0 ? (
        <Empty>Nothing was received or sent since the start.</Empty>
      ) : (
        <Rows
          compact
          label={title}
          rowKey={([name]) => name}
          rows={shown}
          columns={[
            { key: 'type', title: 'Type', main: true, cell: ([name]) => name },
            { key: 'in', title: 'Received', align: 'right', cell: ([, a]) => count(a) },
            { key: 'out', title: 'Sent', align: 'right', cell: ([, , b]) => count(b) },
          ]}
        />
      )}
    </Panel>
  )
}

function Reasons({ title, of, none }: { title: string; of: Record<string, number>; none: string }) {
  const rows = Object.entries(of).filter(([, n]) => n > 0)
  rows.sort((a, b) => b[1] - a[1])
  return (
    <Panel title={title} flush>
      {rows.length === 0 ? (
        <Empty>{none}</Empty>
      ) : (
        <Rows
          compact
          label={title}
          rowKey={([name]) => name}
          rows={rows}
          columns={[
            { key: 'reason', title: 'Reason', main: true, cell: ([name]) => name.replaceAll('_', ' ') },
            { key: 'n', title: 'Count', align: 'right', cell: ([, n]) => count(n) },
          ]}
        />
      )}
    </Panel>
  )
}

export const overview: Page = {
  id: 'overview',
  title: 'Overview',
  about: 'What the broker does now and holds now, with the last three minutes.',
  group: 'Monitor',
  icon: 'overview',
  view: Overview,
}
