// SPDX-License-Identifier: Apache-2.0

// What the broker noticed by itself: alarms, subscribers that get messages late,
// and the topics whose messages are counted.
import { useState } from 'preact/hooks'
import { del, post, segment, useResource } from '../api'
import { age, count, duration, time } from '../format'
import { link } from '../router'
import { admin } from '../session'
import type { Alarm, SlowSubscriber, TopicMetrics } from '../types'
import { Badge, Button, Code, Empty, Failure, Loading, Panel, TextField, type Tone } from '../ui/basics'
import { FormDialog } from '../ui/dialog'
import { type Column, type PageOf, Rows } from '../ui/table'
import { attempt, toast } from '../ui/toast'
import type { Page } from './page'

const tones: Record<string, Tone> = { warning: 'warn', error: 'bad', critical: 'bad' }

const columns: Column<Alarm>[] = [
  { key: 'severity', title: 'Severity', cell: (a) => <Badge tone={tones[a.severity] ?? 'plain'}>{a.severity}</Badge> },
  { key: 'title', title: 'What', main: true, align: 'text', cell: (a) => <span title={a.id}>{a.title}</span> },
  { key: 'summary', title: 'Figures', align: 'text', cell: (a) => a.summary },
  { key: 'raised', title: 'Raised', cell: (a) => <span title={time(a.raised_at)}>{age(a.raised_at)} ago</span> },
]

const cleared: Column<Alarm> = {
  key: 'cleared',
  title: 'Cleared',
  cell: (a) => <span title={time(a.cleared_at)}>{a.cleared_at ? age(a.cleared_at) + ' ago' : 'not yet'}</span>,
}

function Alarms() {
  return (
    <>
      <Active />
      <History />
      <Slow />
      <Topics />
    </>
  )
}

/** ActiveAlarms is what the overview shows: nothing while all is well. */
export function ActiveAlarms() {
  const { data } = useResource<PageOf<Alarm>>('/alarms', 3000)
  if (!data || data.items.length === 0) return null
  return (
    <Panel title="Alarms" flush actions={<a href={link('alarms')}>All about them</a>}>
      <Rows label="Alarms" rowKey={(a) => a.id} rows={data.items} columns={columns} />
    </Panel>
  )
}

function Active() {
  const { data, error, reload } = useResource<PageOf<Alarm>>('/alarms', 2000)
  const clear = async (a: Alarm) => {
    await attempt(() => del('/alarms/' + segment(a.id)), 'Cleared. It comes again when its cause is seen again.')
    reload()
  }
  return (
    <Panel title="At present" flush>
      {!data && (error === undefined ? <Loading /> : <Failure error={error} retry={reload} />)}
      {data?.items.length === 0 && <Empty icon="check">Nothing is wrong as far as the broker can see.</Empty>}
      {data && data.items.length > 0 && (
        <Rows
          label="Alarms"
          rowKey={(a) => a.id}
          rows={data.items}
          columns={columns}
          actions={admin() ? (a) => <Button small look="quiet" icon="check" label={`Clear ${a.title}`} onClick={() => clear(a)} /> : undefined}
        />
      )}
    </Panel>
  )
}

function History() {
  const { data, reload } = useResource<PageOf<Alarm>>('/alarms/history', 5000)
  const forget = async () => {
    await attempt(() => del('/alarms/history'), 'The history is empty.')
    reload()
  }
  return (
    <Panel
      title="Before"
      flush
      actions={
        admin() &&
        data &&
        data.items.length > 0 && (
          <Button small onClick={forget}>
            Forget them
          </Button>
        )
      }
    >
      {data?.items.length === 0 && <Empty>No alarm was raised and cleared since the start.</Empty>}
      {data && data.items.length > 0 && (
        <Rows label="Alarms before" rowKey={(a) => a.id + a.raised_at} rows={data.items} columns={[...columns, cleared]} />
      )}
    </Panel>
  )
}

function Slow() {
  const { data, reload } = useResource<PageOf<SlowSubscriber>>('/slow_subscribers', 3000)
  const forget = async () => {
    await attempt(() => del('/slow_subscribers'), 'The list begins anew.')
    reload()
  }
  return (
    <Panel
      title="Slow subscribers"
      flush
      actions={
        admin() &&
        data &&
        data.items.length > 0 && (
          <Button small onClick={forget}>
            Begin anew
          </Button>
        )
      }
    >
      {data?.items.length === 0 && <Empty>Nobody got a message noticeably late.</Empty>}
      {data && data.items.length > 0 && (
        <Rows
          label="Slow subscribers"
          rowKey={(s) => s.client_id}
          rows={data.items}
          columns={[
            {
              key: 'client',
              title: 'Client ID',
              main: true,
              cell: (s) => (
                <a href={link('clients', [s.client_id])}>
                  <Code>{s.client_id}</Code>
                </a>
              ),
            },
            { key: 'latency', title: 'Late by', align: 'right', cell: (s) => duration(s.latency_seconds) },
            { key: 'topic', title: 'Topic', cell: (s) => <Code>{s.topic}</Code> },
            { key: 'at', title: 'When', cell: (s) => <span title={time(s.at)}>{age(s.at)} ago</span> },
          ]}
        />
      )}
    </Panel>
  )
}

const byQoS = (n: number[]) => n.map(count).join(' / ')

function Topics() {
  const { data, reload } = useResource<PageOf<TopicMetrics>>('/topic_metrics', 3000)
  const [adding, setAdding] = useState(false)
  const remove = async (t: TopicMetrics) => {
    await attempt(() => del('/topic_metrics?topic=' + segment(t.topic)), `${t.topic} is counted no more.`)
    reload()
  }
  return (
    <Panel
      title="Counted topics"
      flush
      actions={
        admin() && (
          <Button small icon="plus" onClick={() => setAdding(true)}>
            Count a topic
          </Button>
        )
      }
    >
      {data?.items.length === 0 && <Empty>No topic is counted by itself. The figures of all are on the overview.</Empty>}
      {data && data.items.length > 0 && (
        <Rows
          label="Counted topics"
          rowKey={(t) => t.topic}
          rows={data.items}
          columns={[
            { key: 'topic', title: 'Topic', main: true, cell: (t) => <Code>{t.topic}</Code> },
            { key: 'in', title: 'Received, QoS 0 / 1 / 2', align: 'right', cell: (t) => byQoS(t.received_messages) },
            { key: 'out', title: 'Sent, QoS 0 / 1 / 2', align: 'right', cell: (t) => byQoS(t.sent_messages) },
            { key: 'dropped', title: 'No subscriber', align: 'right', cell: (t) => count(t.dropped_messages) },
            { key: 'since', title: 'Since', cell: (t) => <span title={time(t.since)}>{age(t.since)} ago</span> },
          ]}
          actions={admin() ? (t) => <Button small look="quiet" icon="trash" label={`Count ${t.topic} no more`} onClick={() => remove(t)} /> : undefined}
        />
      )}
      {adding && (
        <CountDialog
          onClose={() => {
            setAdding(false)
            reload()
          }}
        />
      )}
    </Panel>
  )
}

function CountDialog({ onClose }: { onClose: () => void }) {
  const [topic, setTopic] = useState('')
  const submit = async () => {
    await post('/topic_metrics', { topic })
    toast(`${topic} is counted.`)
  }
  return (
    <FormDialog title="Count the messages of a topic" action="Count" submit={submit} onClose={onClose}>
      <TextField label="Topic" required autofocus placeholder="room/4/temperature" value={topic} onValue={setTopic} hint="A topic, not a filter." />
    </FormDialog>
  )
}

export const alarms: Page = {
  id: 'alarms',
  title: 'Alarms',
  about: 'What is wrong at present, and what was.',
  group: 'Monitor',
  icon: 'alarms',
  view: Alarms,
}
