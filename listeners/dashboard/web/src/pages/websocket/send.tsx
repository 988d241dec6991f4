// SPDX-License-Identifier: Apache-2.0

// What to send on a connection, and in which pieces. The bytes are shown while
// they are being made up.
import { useEffect, useState } from 'preact/hooks'
import { sentence } from '../../api'
import { fromBase64, hex } from '../../bytes'
import { Button, Check, Field, Panel, Segments, SelectField, TextField } from '../../ui/basics'
import { useKept } from './keep'
import { encode, Properties, type Prop } from './props'
import * as stream from './stream'
import type { Connection, Cut, Order, Plan } from './types'

/** article is the CONNECT of the captures that the project began with. */
export const article = {
  version: '3.1.1',
  client_id: '861694030142473',
  username: 'libaineu2004',
  password: '12345678',
  clean: true,
  keep_alive: '60',
}

const connectBlank = {
  ...article,
  will: false,
  will_topic: '',
  will_payload: '',
  will_qos: '0',
  will_retain: false,
  props: [] as Prop[],
  will_props: [] as Prop[],
}

type ConnectForm = typeof connectBlank

const blanks = {
  subscribe: { filter: '#', qos: '0', no_local: false, as_published: false, handling: '0', props: [] as Prop[] },
  publish: { topic: 'room/4', payload: 'hello', as_hex: false, qos: '0', retain: false, props: [] as Prop[] },
  more: { kind: 'PINGREQ', filter: '#', code: '0', bytes: 'c0 00', props: [] as Prop[] },
  cut: { how: 'fields' as Cut['how'], n: '13', fragments: false, pause: '0', mask: '' },
}

type Kind = 'connect' | 'subscribe' | 'publish' | 'more'

/** connectPacket is the article's form as the broker reads it. */
export function connectPacket(f: ConnectForm): Record<string, unknown> {
  const v5 = f.version === '5.0'
  return {
    type: 'CONNECT',
    version: f.version,
    client_id: f.client_id,
    clean_start: f.clean,
    keep_alive: Number(f.keep_alive),
    username: f.username === '' ? null : f.username,
    password: f.password === '' ? null : f.password,
    will: f.will
      ? { topic: f.will_topic, payload: f.will_payload, qos: Number(f.will_qos), retain: f.will_retain, properties: v5 ? encode(f.will_props) : {} }
      : null,
    properties: v5 ? encode(f.props) : {},
  }
}

/** articleOrder is the article's CONNECT, in a frame for each field. */
export const articleOrder = (): Order => ({
  packet: connectPacket(connectBlank),
  cut: { how: 'fields', n: 0, fragments: false, pause_ms: 120 },
})

export function SendPanel({ connection }: { connection: Connection }) {
  const [kept, keep] = useKept('kind', { kind: 'connect' as Kind })
  const [connect, setConnect] = useKept('connect', connectBlank, ['password'])
  const [subscribe, setSubscribe] = useKept('subscribe', blanks.subscribe)
  const [publish, setPublish] = useKept('publish', blanks.publish)
  const [more, setMore] = useKept('more', blanks.more)
  const [cut, setCut] = useKept('cut', blanks.cut)
  const [error, setError] = useState<string>()
  const version = connection.version ?? connect.version
  const v5 = version === '5.0'

  const order: Order = {
    cut: { how: cut.how, n: Number(cut.n), fragments: cut.fragments, pause_ms: Number(cut.pause) },
    mask: cut.mask.replaceAll(' ', ''),
  }
  const props = (p: Prop[]) => (v5 ? encode(p) : {})
  switch (kept.kind) {
    case 'connect':
      order.packet = connectPacket(connect)
      break
    case 'subscribe':
      order.packet = {
        type: 'SUBSCRIBE',
        filters: [
          {
            filter: subscribe.filter,
            qos: Number(subscribe.qos),
            no_local: v5 && subscribe.no_local,
            retain_as_published: v5 && subscribe.as_published,
            retain_handling: v5 ? Number(subscribe.handling) : 0,
          },
        ],
        properties: props(subscribe.props),
      }
      break
    case 'publish':
      order.packet = {
        type: 'PUBLISH',
        topic: publish.topic,
        [publish.as_hex ? 'payload_hex' : 'payload']: publish.payload,
        qos: Number(publish.qos),
        retain: publish.retain,
        properties: props(publish.props),
      }
      break
    case 'more':
      if (more.kind === 'bytes') order.bytes = more.bytes
      else if (more.kind === 'UNSUBSCRIBE') order.packet = { type: 'UNSUBSCRIBE', filters: [{ filter: more.filter }], properties: props(more.props) }
      else if (more.kind === 'DISCONNECT') order.packet = { type: 'DISCONNECT', code: v5 ? Number(more.code) : 0, properties: props(more.props) }
      else order.packet = { type: more.kind }
  }

  const send = async (e: Event) => {
    e.preventDefault()
    setError(undefined)
    try {
      await stream.send(connection.id, order)
      if (kept.kind === 'connect') keep({ kind: 'subscribe' })
    } catch (failed) {
      setError(sentence(failed))
    }
  }
  const ready = connection.phase === 'open'
  const label = { connect: 'CONNECT', subscribe: 'SUBSCRIBE', publish: 'PUBLISH', more: more.kind === 'bytes' ? 'bytes' : more.kind }[kept.kind]
  return (
    <Panel title="Send">
      <form class="send" onSubmit={send}>
        <Segments
          label="Packet"
          value={kept.kind}
          onValue={(kind) => keep({ kind })}
          options={[
            ['connect', 'Connect'],
            ['subscribe', 'Subscribe'],
            ['publish', 'Publish'],
            ['more', 'More'],
          ]}
        />
        <div class="form">
          {kept.kind === 'connect' && <ConnectFields f={connect} change={setConnect} />}
          {kept.kind === 'subscribe' && (
            <>
              <TextField label="Topic filter" required value={subscribe.filter} onValue={(filter) => setSubscribe({ filter })} />
              <Qos label="QoS" value={subscribe.qos} onValue={(qos) => setSubscribe({ qos })} />
              {v5 && (
                <>
                  <SelectField
                    label="Retained messages"
                    value={subscribe.handling}
                    onValue={(handling) => setSubscribe({ handling })}
                    options={[
                      ['0', 'send'],
                      ['1', 'send if the subscription is new'],
                      ['2', 'do not send'],
                    ]}
                  />
                  <Check label="No local" checked={subscribe.no_local} onValue={(no_local) => setSubscribe({ no_local })} />
                  <Check label="Retain as published" checked={subscribe.as_published} onValue={(as_published) => setSubscribe({ as_published })} />
                  <Properties place="SUBSCRIBE" props={subscribe.props} onProps={(p) => setSubscribe({ props: p })} />
                </>
              )}
            </>
          )}
          {kept.kind === 'publish' && (
            <>
              <TextField label="Topic" required value={publish.topic} onValue={(topic) => setPublish({ topic })} />
              <Qos label="QoS" value={publish.qos} onValue={(qos) => setPublish({ qos })} />
              <Field label={publish.as_hex ? 'Message, hex' : 'Message'} wide>
                {(id) => <textarea id={id} rows={3} spellcheck={false} value={publish.payload} onInput={(e) => setPublish({ payload: e.currentTarget.value })} />}
              </Field>
              <Check label="Retain" checked={publish.retain} onValue={(retain) => setPublish({ retain })} />
              <Check label="The message is hex" checked={publish.as_hex} onValue={(as_hex) => setPublish({ as_hex })} />
              {v5 && <Properties place="PUBLISH" props={publish.props} onProps={(p) => setPublish({ props: p })} />}
            </>
          )}
          {kept.kind === 'more' && (
            <>
              <SelectField
                label="What"
                value={more.kind}
                onValue={(kind) => setMore({ kind })}
                options={[
                  ['PINGREQ', 'PINGREQ'],
                  ['UNSUBSCRIBE', 'UNSUBSCRIBE'],
                  ['DISCONNECT', 'DISCONNECT'],
                  ['bytes', 'Bytes of your own'],
                ]}
              />
              {more.kind === 'UNSUBSCRIBE' && <TextField label="Topic filter" required value={more.filter} onValue={(filter) => setMore({ filter })} />}
              {more.kind === 'DISCONNECT' && v5 && <TextField label="Reason code" type="number" min={0} max={255} value={more.code} onValue={(code) => setMore({ code })} />}
              {(more.kind === 'UNSUBSCRIBE' || more.kind === 'DISCONNECT') && v5 && (
                <Properties place={more.kind} props={more.props} onProps={(p) => setMore({ props: p })} />
              )}
              {more.kind === 'bytes' && (
                <Field label="Bytes, hex" wide hint="Anything at all: see what the broker makes of it.">
                  {(id) => <textarea id={id} class="mono" rows={3} spellcheck={false} value={more.bytes} onInput={(e) => setMore({ bytes: e.currentTarget.value })} />}
                </Field>
              )}
            </>
          )}
        </div>
        <fieldset class="cut">
          <legend>In how many frames</legend>
          <Segments
            label="In how many frames"
            value={cut.how}
            onValue={(how) => setCut({ how })}
            options={[
              ['whole', 'One'],
              ['fields', 'Per field'],
              ['count', 'N frames'],
              ['size', 'N bytes'],
            ]}
          />
          {cut.how === 'fields' && <p class="hint">A frame for each field, as MQTT.js did it in the article: CONNECT becomes 13 frames.</p>}
          <div class="form">
            {(cut.how === 'count' || cut.how === 'size') && (
              <TextField label={cut.how === 'count' ? 'Frames' : 'Bytes in a frame'} type="number" min={1} value={cut.n} onValue={(n) => setCut({ n })} />
            )}
            <TextField label="Pause, ms" type="number" min={0} max={5000} value={cut.pause} onValue={(pause) => setCut({ pause })} hint="between two frames" />
            <TextField label="Masking key" value={cut.mask} onValue={(mask) => setCut({ mask })} placeholder="random" hint="such as 8f 06 5d 55" />
            <Check label="One message, fragmented" checked={cut.fragments} onValue={(fragments) => setCut({ fragments })} />
          </div>
        </fieldset>
        <Preview order={order} version={version} />
        {error && (
          <p class="error" role="alert">
            {error}
          </p>
        )}
        <div class="end">
          <Button type="submit" look="primary" icon="right" disabled={!ready}>
            Send {label}
          </Button>
          {!ready && <span class="hint">{connection.phase === 'closed' ? 'The connection is closed.' : 'The connection is not open yet.'}</span>}
        </div>
      </form>
    </Panel>
  )
}

const Qos = (props: { label: string; value: string; onValue: (v: string) => void }) => (
  <SelectField
    {...props}
    options={[
      ['0', '0, at most once'],
      ['1', '1, at least once'],
      ['2', '2, exactly once'],
    ]}
  />
)

function ConnectFields({ f, change }: { f: ConnectForm; change: (part: Partial<ConnectForm>) => void }) {
  return (
    <>
      <SelectField
        label="Version"
        value={f.version}
        onValue={(version) => change({ version })}
        options={[
          ['3.1.1', 'MQTT 3.1.1'],
          ['5.0', 'MQTT 5.0'],
          ['3.1', 'MQTT 3.1'],
        ]}
      />
      <TextField label="Client identifier" value={f.client_id} onValue={(client_id) => change({ client_id })} />
      <TextField label="User name" value={f.username} onValue={(username) => change({ username })} />
      <TextField label="Password" type="password" autocomplete="new-password" value={f.password} onValue={(password) => change({ password })} />
      <TextField label="Keep alive, seconds" type="number" min={0} max={65535} value={f.keep_alive} onValue={(keep_alive) => change({ keep_alive })} />
      <Check label={f.version === '5.0' ? 'Clean start' : 'Clean session'} checked={f.clean} onValue={(clean) => change({ clean })} />
      <Check label="With a will" checked={f.will} onValue={(will) => change({ will })} />
      {f.will && (
        <>
          <TextField label="Will topic" value={f.will_topic} onValue={(will_topic) => change({ will_topic })} />
          <TextField label="Will message" value={f.will_payload} onValue={(will_payload) => change({ will_payload })} />
          <Qos label="Will QoS" value={f.will_qos} onValue={(will_qos) => change({ will_qos })} />
          <Check label="Will retain" checked={f.will_retain} onValue={(will_retain) => change({ will_retain })} />
          {f.version === '5.0' && <Properties place="will" props={f.will_props} onProps={(will_props) => change({ will_props })} />}
        </>
      )}
      {f.version === '5.0' && <Properties place="CONNECT" props={f.props} onProps={(props) => change({ props })} />}
    </>
  )
}

/** Preview asks the broker what the order would send. */
function Preview({ order, version }: { order: Order; version: string }) {
  const [plan, setPlan] = useState<Plan>()
  const [problem, setProblem] = useState<string>()
  const text = JSON.stringify(order)
  useEffect(() => {
    let late = false
    const timer = setTimeout(async () => {
      try {
        const p = await stream.preview(JSON.parse(text) as Order, version)
        if (!late) (setPlan(p), setProblem(undefined))
      } catch (error) {
        if (!late) (setPlan(undefined), setProblem(sentence(error)))
      }
    }, 150)
    return () => {
      late = true
      clearTimeout(timer)
    }
  }, [text, version])
  if (problem) return <p class="hint preview">{problem}</p>
  if (!plan) return null
  const data = fromBase64(plan.bytes)
  const some = plan.pieces.slice(0, 64)
  let at = 0
  return (
    <div class="preview">
      <p class="hint">
        {plan.title}: {data.length} bytes in {plan.pieces.length} frame{plan.pieces.length === 1 ? '' : 's'}
        {plan.fault && <span class="error"> The broker will refuse it: {plan.fault}</span>}
      </p>
      <p class="pieces mono" aria-hidden="true">
        {some.map((n, i) => {
          const piece = data.subarray(at, (at += n))
          return (
            <span key={i}>
              {[...piece.subarray(0, 32)].map((b) => hex(b)).join(' ')}
              {piece.length > 32 && ' …'}
            </span>
          )
        })}
        {plan.pieces.length > some.length && <span>…</span>}
      </p>
    </div>
  )
}
