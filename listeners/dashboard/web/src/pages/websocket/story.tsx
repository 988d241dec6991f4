// SPDX-License-Identifier: Apache-2.0

// The steps of a connection, one under the other, as the article goes through
// them; what interests is opened.
import type { ComponentChildren } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import { fromBase64, hex } from '../../bytes'
import { Badge, Button, Segments, type Tone } from '../../ui/basics'
import { plural, visible } from '../../format'
import { Icon } from '../../ui/icon'
import { Bytes } from './bytes'
import { type DataStep, type FrameSeen, type HopSeen, masked, type Step, waits } from './steps'
import type { Accept, Header, Request, Response, State } from './types'

/** first is how many steps stay open: the article's. Behind them the newest each way. */
const first = 6

type Filter = 'all' | 'packets' | 'messages'

const passes: Record<Filter, (s: Step) => boolean> = {
  all: () => true,
  packets: (s) => s.kind === 'data',
  messages: (s) => s.kind === 'data' && s.packets.some((p) => p.packet.type === 'PUBLISH'),
}

/** most bounds the steps that are drawn: the newest. */
const most = 300

export function Story({ steps, connection, dropped, watched }: { steps: Step[]; connection: string; dropped: number; watched?: boolean }) {
  const [chosen, choose] = useState<ReadonlyMap<number, boolean>>(new Map())
  const [all, setAll] = useState<boolean>()
  const [filter, setFilter] = useState<Filter>('all')
  const newest = [true, false].map((out) => steps.findLast((s) => s.kind === 'data' && s.out === out)?.seq)
  const passing = steps.filter(passes[filter])
  const shown = passing.slice(-most)
  const isOpen = (s: Step, i: number) => chosen.get(s.seq) ?? all ?? ((i < first && passing.length <= most) || newest.includes(s.seq))
  const every = (on: boolean) => {
    choose(new Map())
    setAll(on)
  }
  return (
    <section class="story" aria-label={`What happened on connection ${connection}`}>
      <header>
        <h2>Step by step</h2>
        <Segments
          label="Show"
          value={filter}
          onValue={setFilter}
          options={[
            ['all', 'All'],
            ['packets', 'Packets'],
            ['messages', 'Messages'],
          ]}
        />
        <Button small look="quiet" onClick={() => every(true)}>
          Open all
        </Button>
        <Button small look="quiet" onClick={() => every(false)}>
          Close all
        </Button>
      </header>
      {dropped > 0 && <p class="hint">{dropped} older events made room for newer ones.</p>}
      {passing.length > most && <p class="hint">The newest {most} of {passing.length} steps are shown; a saved file has all that is kept.</p>}
      <ol>
        {shown.map((s, i) => (
          <StepItem key={s.seq} step={s} open={isOpen(s, i)} toggle={(on) => choose(new Map(chosen).set(s.seq, on))} />
        ))}
      </ol>
      {shown.length === 0 && <p class="hint">{filter === 'messages' && !watched ? 'No message has gone either way yet: subscribe, and publish one.' : 'No packet has gone either way yet.'}</p>}
    </section>
  )
}

interface Shown {
  way: 'out' | 'in' | 'none'
  title: ComponentChildren
  note?: ComponentChildren
  badge?: [Tone, string]
  body?: ComponentChildren
}

function StepItem({ step, open, toggle }: { step: Step; open: boolean; toggle: (open: boolean) => void }) {
  const s = show(step, open)
  const head = (
    <>
      <span class={'way ' + s.way}>
        <Icon name={s.way === 'out' ? 'right' : s.way === 'in' ? 'left' : 'info'} size={16} />
        <span class="unseen">{s.way === 'out' ? 'to the server' : s.way === 'in' ? 'from the server' : ''}</span>
      </span>
      <span class="what">
        <strong>{s.title}</strong>
        {s.note && <span>{s.note}</span>}
      </span>
      {s.badge && <Badge tone={s.badge[0]}>{s.badge[1]}</Badge>}
      <time dateTime={step.at}>{clock(step.at)}</time>
    </>
  )
  return (
    <li class={'step ' + s.way}>
      {s.body === undefined ? (
        <div class="head">{head}</div>
      ) : (
        <button type="button" class="head" aria-expanded={open} onClick={() => toggle(!open)}>
          {head}
          <Icon name={open ? 'up' : 'down'} size={16} />
        </button>
      )}
      {open && s.body !== undefined && <div class="body">{s.body}</div>}
    </li>
  )
}

const clock = (at: string): string => new Date(at).toLocaleTimeString('en-GB') + '.' + (/\.(\d{3})/.exec(at)?.[1] ?? '000')

function show(s: Step, open: boolean): Shown {
  switch (s.kind) {
    case 'state':
      return state(s.state)
    case 'note':
      return { way: 'none', title: s.text }
    case 'request':
      return { way: 'out', title: 'HTTP request: please change to WebSocket', note: <code>{s.request.line}</code>, body: open ? <RequestView r={s.request} /> : null }
    case 'response':
      return {
        way: 'in',
        title: s.response.ok ? 'HTTP response: the protocol changes' : 'HTTP response: no upgrade',
        note: <code>{s.response.line}</code>,
        badge: s.response.ok ? undefined : ['bad', 'refused'],
        body: open ? <ResponseView r={s.response} /> : null,
      }
    case 'control':
      return {
        way: s.frame.frame.out ? 'out' : 'in',
        title: `WebSocket ${s.frame.frame.name}`,
        note: 'a control frame',
        body: open ? <Frames frames={[s.frame]} /> : null,
      }
    case 'data':
      return data(s, open)
  }
}

function state(s: State): Shown {
  switch (s.phase) {
    case 'dialing':
      return { way: 'none', title: 'Connecting', note: <code>{s.url}</code> }
    case 'connected':
      return {
        way: 'none',
        title: s.tls ? 'TCP and TLS are there' : 'TCP is there',
        note: (
          <code>
            {s.local} → {s.remote}
            {s.tls && ` · ${s.tls}`}
          </code>
        ),
      }
    case 'open':
      return { way: 'none', title: 'Open', note: s.own ? 'This broker’s own listener: its actors are shown, too.' : 'From here on bytes go both ways.' }
    case 'closed':
      return { way: 'none', title: 'Closed', note: s.reason }
  }
}

function data(s: DataStep, open: boolean): Shown {
  const total = s.frames.reduce((n, f) => n + fromBase64(f.frame.payload).length, 0)
  const bad = s.packets.some((p) => p.packet.fault)
  const unfinished = s.packets.length === 0
  const lastFrame = s.frames[s.frames.length - 1]
  return {
    way: s.out ? 'out' : 'in',
    title: unfinished ? 'A packet that is not complete yet' : visible(s.packets.map((p) => p.packet.title).join(' · ')),
    note: `${plural(total, 'byte', 'bytes')} in ${s.frames[0]?.frame.bare ? plural(s.frames.length, s.out ? 'read' : 'write', s.out ? 'reads' : 'writes') : plural(s.frames.length, 'frame', 'frames')}`,
    badge: bad ? ['bad', 'malformed'] : unfinished && lastFrame?.frame.more ? ['warn', waits(lastFrame.frame.more)] : undefined,
    body: open ? <DataView s={s} /> : null,
  }
}

function DataView({ s }: { s: DataStep }) {
  return (
    <>
      {!s.frames[0]?.frame.bare && (
        <>
          <h3>WebSocket: {plural(s.frames.length, 'frame', 'frames')}</h3>
          <Frames frames={s.frames} />
        </>
      )}
      {s.packets.map(({ seq, packet }) => (
        <div key={seq} class="packet">
          <h3>
            MQTT: {packet.type}
            {packet.version && ` in ${packet.version}`}
          </h3>
          {packet.fault && <p class="error">Refused: {packet.fault}</p>}
          <Bytes data={fromBase64(packet.bytes)} fields={packet.fields} cuts={s.packets.length === 1 ? s.frames.map((f) => fromBase64(f.frame.payload).length) : undefined} />
        </div>
      ))}
      {s.hops.length > 0 && <Hops hops={s.hops} />}
    </>
  )
}

const spaced = (bytes: Uint8Array, most = 24) =>
  [...bytes.subarray(0, most)].map((b) => hex(b)).join(' ') + (bytes.length > most ? ' …' : '')

const ascii = (bytes: Uint8Array) =>
  [...bytes.subarray(0, 24)].map((b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : '·')).join('')

function Frames({ frames }: { frames: FrameSeen[] }) {
  const broker = frames.some((f) => f.broker)
  return (
    <div class="frames" role="table" aria-label="Frames">
      <div class="line heads" role="row">
        {['#', 'Header', 'Flags', 'Masked', 'Payload', broker ? 'The broker’s ws_loop' : 'A parser'].map((t) => (
          <span role="columnheader" key={t}>
            {t}
          </span>
        ))}
      </div>
      {frames.map((f, i) => (
        <FrameLine key={f.seq} n={i + 1} seen={f} />
      ))}
    </div>
  )
}

function FrameLine({ n, seen: { frame: f, broker } }: { n: number; seen: FrameSeen }) {
  const payload = useMemo(() => fromBase64(f.payload), [f])
  const more = broker ?? f.more
  return (
    <div class="line" role="row">
      <span role="cell" class="n">
        {n}
      </span>
      <span role="cell" data-label="Header">
        <code title="The frame’s first bytes: flags and opcode, mask bit and length, masking key">{spaced(fromBase64(f.header))}</code>
      </span>
      <span role="cell" data-label="Flags">
        {f.fin ? 'FIN ' : ''}
        {f.name}
        {f.rsv > 0 && ` RSV ${f.rsv}`}
        <small>opcode {f.opcode}</small>
      </span>
      <span role="cell" data-label="Masked">
        {f.masked ? (
          <>
            <code>{spaced(masked(f), 16)}</code>
            <small>key {f.key && spaced(fromBase64(f.key))}</small>
          </>
        ) : (
          <small>not masked</small>
        )}
      </span>
      <span role="cell" data-label="Payload">
        <code>{spaced(payload, 16)}</code>
        <small>
          <span class="mono">{ascii(payload)}</span> {payload.length} byte{payload.length === 1 ? '' : 's'}
        </small>
      </span>
      <span role="cell" data-label={broker ? 'ws_loop' : 'Parser'}>
        {f.fault ? <span class="error">{f.fault}</span> : more ? <Badge tone={more.buffered === 0 ? 'ok' : 'warn'}>{more.buffered === 0 ? '{ok, Packet, Rest}' : waits(more)}</Badge> : '–'}
      </span>
    </div>
  )
}

function Hops({ hops }: { hops: HopSeen[] }) {
  return (
    <div class="hops">
      <h3>In the broker: {hops.length} messages from actor to actor</h3>
      <ol>
        {hops.map((h) => (
          <li key={h.seq}>
            <code title={h.hop.actor}>{h.hop.kind}</code>
            {h.hop.module && <small>{h.hop.module}</small>}
            <span class="message">{h.hop.message}</span>
            <span class="detail">{h.hop.more ? `${h.hop.bytes} byte${h.hop.bytes === 1 ? '' : 's'} → ${h.hop.more.buffered === 0 ? '{ok, Packet, Rest}' : waits(h.hop.more)}` : visible(h.hop.detail ?? '')}</span>
          </li>
        ))}
      </ol>
    </div>
  )
}

const Headers = ({ line, headers }: { line: string; headers: Header[] }) => (
  <div class="headers">
    <code class="line">{line}</code>
    {headers.map((h, i) => (
      <div key={i}>
        <code>
          <b>{h.name}:</b> {h.value}
        </code>
        {h.note && <small>{h.note}</small>}
      </div>
    ))}
  </div>
)

const RequestView = ({ r }: { r: Request }) => <Headers line={r.line} headers={r.headers} />

function ResponseView({ r }: { r: Response }) {
  const behind = new TextDecoder().decode(fromBase64(r.raw)).split('\r\n\r\n').slice(1).join('\r\n\r\n').trim()
  return (
    <>
      <Headers line={r.line} headers={r.headers} />
      {behind && <pre class="behind">{behind}</pre>}
      {r.accept && <AcceptView a={r.accept} />}
      <p class={r.ok ? 'verdict' : 'verdict error'}>{r.verdict}</p>
    </>
  )
}

function AcceptView({ a }: { a: Accept }) {
  const rows: [string, string][] = [
    ['key', a.key],
    ['+ GUID of RFC 6455', a.guid],
    ['joined', a.joined],
    ['SHA-1', a.sha1],
    ['in base64', a.base64],
    ['the server says', a.got || 'nothing'],
  ]
  return (
    <div class="accept">
      <h3>Sec-WebSocket-Accept, worked out</h3>
      <dl>
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>
              <code>{value}</code>
            </dd>
          </div>
        ))}
      </dl>
      <Badge tone={a.equal ? 'ok' : 'bad'}>{a.equal ? 'equal' : 'not equal'}</Badge>
    </div>
  )
}
