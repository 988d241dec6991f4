// SPDX-License-Identifier: Apache-2.0

// The way of one client, topic or address through the broker: every hop of every
// packet, and why something was delivered, queued, dropped or denied.
import { useEffect, useState } from 'preact/hooks'
import { del, post, sentence, useResource } from '../api'
import { age, bytes, count, moment, plural, time, visible } from '../format'
import { link, setQuery, useRoute } from '../router'
import { admin } from '../session'
import type { Trace, TraceEvent } from '../types'
import { Badge, Button, Code, Empty, Failure, Loading, Panel, SelectField, TextField, type Tone } from '../ui/basics'
import { type PageOf, Rows } from '../ui/table'
import { attempt, toast } from '../ui/toast'
import type { Page } from './page'

const kinds = [
  ['client', 'Client ID'],
  ['topic', 'Topic filter'],
  ['ip', 'Address'],
] as const
type Kind = (typeof kinds)[number][0]

const spans = [
  ['60', '1 minute'],
  ['300', '5 minutes'],
  ['3600', '1 hour'],
  ['0', 'as long as allowed'],
] as const

function Traces() {
  const { data, error, reload } = useResource<PageOf<Trace>>('/traces', 2000)
  const { query } = useRoute()
  const id = Number(query.get('id')) || undefined
  if (!data) return error === undefined ? <Loading /> : <Failure error={error} retry={reload} />
  const forget = async (t: Trace) => {
    await attempt(() => del(`/traces/${t.id}`), 'The trace is gone.')
    if (t.id === id) setQuery({ id: '' })
    reload()
  }
  const stop = async (t: Trace) => {
    await attempt(() => post(`/traces/${t.id}/stop`), 'The trace has stopped; its events stay.')
    reload()
  }
  return (
    <>
      {admin() && <Start first={query.get('client') ?? ''} started={(t) => (setQuery({ id: String(t.id), client: '' }), reload())} />}
      <Panel title="Traces" flush>
        {data.items.length === 0 ? (
          <Empty icon="trace">
            Nothing is traced, and that costs nothing. {admin() ? 'Start a trace above.' : 'An administrator can start a trace.'}
          </Empty>
        ) : (
          <Rows
            label="Traces"
            rowKey={(t) => String(t.id)}
            rows={data.items}
            columns={[
              {
                key: 'rule',
                title: 'Of',
                main: true,
                cell: (t) => (
                  <a href={link('trace', [], { id: String(t.id) })} aria-current={t.id === id ? 'true' : undefined}>
                    {kinds.find(([k]) => k === t.rule.by)?.[1] ?? t.rule.by} <Code>{t.rule.value}</Code>
                  </a>
                ),
              },
              { key: 'state', title: 'State', cell: (t) => <Badge tone={t.running ? 'ok' : 'plain'}>{t.running ? 'running' : 'ended'}</Badge> },
              { key: 'events', title: 'Events', align: 'right', cell: (t) => count(t.events) },
              { key: 'since', title: 'Since', cell: (t) => <span title={time(t.started)}>{age(t.started)} ago</span> },
              { key: 'file', title: 'File', cell: (t) => (t.error ? <Badge tone="bad" title={t.error}>broken off</Badge> : (t.file ?? <span class="dim">none</span>)) },
            ]}
            actions={
              admin()
                ? (t) => (
                    <>
                      {t.running && <Button small look="quiet" icon="stop" label={`Stop trace ${t.id}`} onClick={() => stop(t)} />}
                      <Button small look="quiet" icon="trash" label={`Forget trace ${t.id}`} onClick={() => forget(t)} />
                    </>
                  )
                : undefined
            }
          />
        )}
      </Panel>
      {id !== undefined && <Events key={id} id={id} />}
    </>
  )
}

function Start({ first, started }: { first: string; started: (t: Trace) => void }) {
  const [by, setBy] = useState<Kind>('client')
  const [value, setValue] = useState(first)
  const [seconds, setSeconds] = useState<(typeof spans)[number][0]>('300')
  const [file, setFile] = useState('')
  const send = async (e: Event) => {
    e.preventDefault()
    try {
      started(await post<Trace>('/traces', { by, value, duration_seconds: Number(seconds), file: file || undefined }))
      setValue('')
    } catch (error) {
      toast(sentence(error), 'bad')
    }
  }
  return (
    <Panel title="Start a trace">
      <form class="form" onSubmit={send}>
        <SelectField label="By" value={by} options={kinds} onValue={setBy} />
        <TextField
          label={kinds.find(([k]) => k === by)![1]}
          required
          value={value}
          onValue={setValue}
          placeholder={by === 'topic' ? 'room/+/temperature' : by === 'ip' ? '192.168.83.0/24' : ''}
        />
        <SelectField label="For" value={seconds} options={spans} onValue={setSeconds} />
        <TextField label="File (optional)" value={file} onValue={setFile} placeholder="lost-message.log" />
        <div class="end">
          <Button type="submit" look="primary" icon="play">
            Start
          </Button>
        </div>
      </form>
    </Panel>
  )
}

const room = 1000 // events that the page keeps

/** useTrace reads a trace's stream, from its first event on. */
function useTrace(id: number): { events: TraceEvent[]; lost: number; ended: boolean } {
  const [state, set] = useState<{ events: TraceEvent[]; lost: number; ended: boolean }>({ events: [], lost: 0, ended: false })
  useEffect(() => {
    let waiting: TraceEvent[] = []
    const source = new EventSource(`/api/v1/traces/${id}/stream`)
    source.addEventListener('trace', (e: MessageEvent<string>) => waiting.push(JSON.parse(e.data)))
    source.addEventListener('lost', (e: MessageEvent<string>) => {
      const n = (JSON.parse(e.data) as { events: number }).events
      set((s) => ({ ...s, lost: s.lost + n }))
    })
    source.addEventListener('ended', () => {
      source.close()
      set((s) => ({ ...s, ended: true }))
    })
    // A busy client has thousands of hops a second; the page is drawn five times.
    const timer = setInterval(() => {
      if (waiting.length === 0) return
      const fresh = waiting
      waiting = []
      set((s) => {
        const known = s.events[s.events.length - 1]?.seq ?? 0
        return { ...s, events: [...s.events, ...fresh.filter((e) => e.seq > known)].slice(-room) }
      })
    }, 200)
    return () => {
      source.close()
      clearInterval(timer)
    }
  }, [id])
  return state
}

const tones: Record<string, Tone> = {
  delivered: 'ok',
  acknowledged: 'ok',
  accepted: 'ok',
  queued: 'warn',
  dropped: 'bad',
  denied: 'bad',
  refused: 'bad',
  fault: 'bad',
  closed: 'warn',
}

function Events({ id }: { id: number }) {
  const { events, lost, ended } = useTrace(id)
  const [newest, setNewest] = useState(true)
  const shown = newest ? [...events].reverse() : events
  return (
    <Panel
      title={`Trace ${id}`}
      flush
      actions={
        <>
          {lost > 0 && <Badge tone="warn">{plural(lost, 'event')} lost: too slow</Badge>}
          <span class="dim">{ended ? 'ended' : 'live'}, {plural(events.length, 'event')}</span>
          <Button small pressed={newest} onClick={() => setNewest(!newest)}>
            Newest first
          </Button>
          <Button small icon="copy" disabled={events.length === 0} onClick={() => save(id, events)}>
            Save
          </Button>
        </>
      }
    >
      {events.length === 0 ? (
        <Empty icon="trace">{ended ? 'Nothing has happened while this trace ran.' : 'Nothing yet. What happens next comes by itself.'}</Empty>
      ) : (
        <Rows
          label="Events"
          rowKey={(e) => String(e.seq)}
          rows={shown}
          columns={[
            { key: 'at', title: 'Time', cell: (e) => <span class="mono">{precise(e.at)}</span> },
            {
              key: 'step',
              title: 'Step',
              cell: (e) => (
                <span class="badges">
                  <Badge tone={tones[e.step] ?? 'plain'}>{e.step}</Badge>
                  {e.again && <Badge tone="warn" title="At the second attempt: the first crashed">again</Badge>}
                </span>
              ),
            },
            { key: 'actor', title: 'Actor', main: true, cell: (e) => <Code>{e.actor}</Code> },
            { key: 'what', title: 'What', align: 'text', cell: (e) => <What e={e} /> },
            { key: 'why', title: 'Reason', align: 'text', cell: (e) => e.reason?.replaceAll('_', ' ') ?? '' },
          ]}
        />
      )}
    </Panel>
  )
}

function What({ e }: { e: TraceEvent }) {
  return (
    <>
      {e.packet} {e.packet_id ? `id ${e.packet_id} ` : ''}
      {e.topic && <Code>{e.topic}</Code>} {e.packet === 'PUBLISH' && `QoS ${e.qos} `}
      {e.bytes ? bytes(e.bytes) + ' ' : ''}
      {e.step === 'routed' && `to ${plural(e.count ?? 0, 'subscription')} `}
      {e.client_id && (
        <span class="dim">
          {visible(e.from && e.from !== e.client_id ? `${e.from} → ${e.client_id}` : e.client_id)}
        </span>
      )}
    </>
  )
}

function precise(at: string): string {
  const d = moment(at)
  if (!d) return '–'
  const fraction = /\.(\d{1,6})/.exec(at)?.[1] ?? ''
  return d.toTimeString().slice(0, 8) + '.' + fraction.padEnd(6, '0')
}

/** save gives the events to the browser as a file, one JSON value a line. */
function save(id: number, events: TraceEvent[]) {
  const url = URL.createObjectURL(new Blob([events.map((e) => JSON.stringify(e)).join('\n') + '\n'], { type: 'application/x-ndjson' }))
  const a = document.createElement('a')
  a.href = url
  a.download = `trace-${id}.ndjson`
  a.click()
  setTimeout(() => URL.revokeObjectURL(url), 1000)
}

export const trace: Page = {
  id: 'trace',
  title: 'Trace',
  about: 'Every hop of every packet of one client, topic or address: routed, queued, delivered or dropped, and why.',
  group: 'Tools',
  icon: 'trace',
  view: Traces,
}
