// SPDX-License-Identifier: Apache-2.0

// #/websocket, the packet microscope: emqttd's WebSocket page, and what one needed
// Wireshark for beside it. The connections are the broker's, and stay over a
// reload; this page asks for them and shows what happens.
import { useEffect, useMemo, useState } from 'preact/hooks'
import { useResource } from '../../api'
import { visible } from '../../format'
import { setQuery, useRoute } from '../../router'
import { admin } from '../../session'
import { useStore } from '../../store'
import { Badge, Button, Check, Failure, Loading, type Tone } from '../../ui/basics'
import { attempt } from '../../ui/toast'
import type { Page } from '../page'
import { address, first, OpenForm } from './open'
import { Others } from './others'
import { articleOrder, SendPanel } from './send'
import { story } from './steps'
import { Story } from './story'
import * as stream from './stream'
import type { About, Connection, Phase } from './types'
import { Watched, WatchForm } from './watch'

const tones: Record<Phase, Tone> = { dialing: 'info', connected: 'info', open: 'ok', closed: 'plain' }

function WebSocketPage() {
  const about = useResource<About>('/microscope')
  const all = useStore(stream.connections)
  const { query } = useRoute()
  useEffect(() => stream.follow(), [])
  if (about.error !== undefined) return <Failure error={about.error} retry={about.reload} />
  if (!about.data || !all) return <Loading />
  const chosen = query.get('connection')
  const client = query.get('client') ?? ''
  const current = chosen === 'new' || (client && !chosen) ? undefined : (all.find((c) => c.id === chosen) ?? all[all.length - 1])
  const pick = (id: string) => setQuery({ connection: id, client: '' })
  const play = async () => {
    const door = about.data && first(about.data)
    if (!door) return
    const c = await stream.open({ url: address(door), key: 'MTMtMTU0NDE1NjY2MjM2NA==' }) // the capture's
    pick(c.id)
    if (await stream.opened(c.id)) await stream.send(c.id, articleOrder())
  }
  return (
    <div class="microscope">
      <nav class="connections" aria-label="Connections">
        {all.map((c) => (
          <button key={c.id} type="button" aria-current={c === current ? 'page' : undefined} onClick={() => pick(c.id)}>
            <i class={'dot ' + c.phase} aria-hidden="true" />
            {c.id}: <span class="of">{visible(c.client_id ?? new URL(c.url).host)}</span>
            <span class="unseen">, {c.phase}</span>
          </button>
        ))}
        <button type="button" aria-current={current ? undefined : 'page'} onClick={() => pick('new')}>
          + New connection
        </button>
      </nav>
      {current ? (
        <ConnectionView key={current.id} c={current} pick={pick} />
      ) : (
        <>
          <OpenForm about={about.data} onOpened={pick} onArticle={play} />
          {admin() && <WatchForm key={client} client={client} onOpened={pick} />}
          {admin() && <Others />}
        </>
      )}
    </div>
  )
}

function ConnectionView({ c, pick }: { c: Connection; pick: (id: string) => void }) {
  const events = useStore(stream.events).get(c.id)
  const dropped = useStore(stream.dropped) + (useStore(stream.passed).get(c.id) ?? 0)
  const watched = c.client_id !== undefined
  const [passwords, setPasswords] = useState(false)
  const steps = useMemo(() => story(events ?? []), [events])
  const act = (work: () => Promise<unknown>, done: string) => () => void attempt(work, done)
  return (
    <>
      <header class="connection">
        <h2>
          {watched && (
            <>
              <code>{visible(c.client_id ?? '')}</code> on{' '}
            </>
          )}
          <code>{c.url}</code> <Badge tone={tones[c.phase]}>{c.phase}</Badge>
        </h2>
        {c.reason && <p class={c.phase === 'closed' && !/code 1000|from here|Not watched|connection ended/.test(c.reason) ? 'error' : 'hint'}>{c.reason}</p>}
        <div class="actions">
          {c.phase === 'open' && watched && (
            <Button small icon="stop" onClick={act(() => stream.close(c.id, true), 'Not watched any more; the client stays connected.')}>
              Stop watching
            </Button>
          )}
          {c.phase === 'open' && !watched && (
            <>
              <Button small icon="close" onClick={act(() => stream.close(c.id, false), 'A close frame is on its way.')}>
                Close
              </Button>
              <Button small icon="stop" onClick={act(() => stream.close(c.id, true), 'The socket is cut.')} title="Without DISCONNECT and close frame: the will is published">
                Cut off
              </Button>
            </>
          )}
          {c.phase === 'closed' && !watched && (
            <Button small icon="reload" onClick={act(async () => pick((await stream.open({ url: c.url })).id), 'A new connection to the same address.')}>
              Connect again
            </Button>
          )}
          <Button small icon="trash" onClick={act(() => stream.forget(c.id), 'Forgotten.')}>
            Forget
          </Button>
          <span class="files">
            Save as{' '}
            <a href={stream.recording(c.id, 'text', passwords)} download>
              text
            </a>
            ,{' '}
            <a href={stream.recording(c.id, 'pcapng', passwords)} download title="For Wireshark: the connection as it was">
              pcapng
            </a>
            ,{' '}
            <a href={stream.recording(c.id, 'pcapng-mqtt', passwords)} download title="For Wireshark: the MQTT bytes alone, on port 1883">
              pcapng of MQTT
            </a>
          </span>
          {!watched && <Check label="with passwords" checked={passwords} onValue={setPasswords} />}
        </div>
        {watched && <Watched c={c} />}
      </header>
      {watched ? (
        <Story steps={steps} connection={c.id} dropped={dropped} watched />
      ) : (
        <div class="halves">
          <SendPanel connection={c} />
          <Story steps={steps} connection={c.id} dropped={dropped} />
        </div>
      )}
    </>
  )
}

export const websocket: Page = { id: 'websocket', title: 'WebSocket', group: 'Tools', icon: 'websocket', view: WebSocketPage }
