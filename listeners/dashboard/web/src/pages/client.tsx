// SPDX-License-Identifier: Apache-2.0

// All there is about one connected client.
import { useState } from 'preact/hooks'
import { Problem, segment, useResource } from '../api'
import { ago, bytes, count, expiry, time } from '../format'
import { go, link } from '../router'
import { admin } from '../session'
import type { Actor, ClientDetail, Flight } from '../types'
import { Badge, Button, Code, Empty, Facts, Failure, Loading, Named, Panel } from '../ui/basics'
import { Rows } from '../ui/table'
import { ActorName, ActorState } from './actor'
import { BanDialog } from './bans'
import { kick } from './kick'
import { SubscriptionRows, SubscribeDialog } from './subscribing'

export function ClientPage({ id }: { id: string }) {
  const { data: c, error, reload } = useResource<ClientDetail>('/clients/' + segment(id), 2000)
  const [dialog, setDialog] = useState<'ban' | 'subscribe'>()
  if (error instanceof Problem && error.status === 404) return <Gone id={id} error={error} />
  if (!c) return error === undefined ? <Loading /> : <Failure error={error} retry={reload} />
  const close = () => {
    setDialog(undefined)
    reload()
  }
  return (
    <>
      {error !== undefined && <Failure error={error} retry={reload} />}
      <Panel
        title={<Code>{c.client_id}</Code>}
        actions={
          <>
            <a class="button small" href={link('trace', [], { client: id })}>
              Trace
            </a>
            {admin() && (
              <>
                <a class="button small" href={link('websocket', [], { client: id })} title="Look at its connection byte by byte">
                  Watch
                </a>
                <Button small look="danger" onClick={() => kick(id, () => go(link('clients')))}>
                  Disconnect
                </Button>
                <Button small look="danger" onClick={() => setDialog('ban')}>
                  Ban
                </Button>
              </>
            )}
          </>
        }
      >
        <Facts
          rows={[
            ['User name', c.username ? <Named name={c.username} /> : 'none'],
            ['Address', <Code>{c.peer ?? '–'}</Code>],
            ['Listener', `${c.listener}, loop ${c.loop}`],
            ['MQTT', c.protocol],
            ['Clean start', c.clean_start ? 'yes' : 'no'],
            ['Keep alive', c.keep_alive_seconds ? `${count(c.keep_alive_seconds)} s` : 'off'],
            ['Session ends', expiry(c.session_expiry_seconds)],
            ['Durability', `${c.durability}${durability[c.durability] ?? ''}`, 'What the acknowledgements of its messages wait for, unless a rule says otherwise for a topic'],
            ['Connected', ago(c.connected_at), time(c.connected_at)],
            ['Last heard', ago(c.last_read_at), time(c.last_read_at)],
          ]}
        />
      </Panel>
      <div class="columns">
        <Traffic c={c} />
        <Waiting c={c} />
      </div>
      <Chain actors={c.actors} />
      <Panel
        title="Subscriptions"
        flush
        actions={
          admin() && (
            <Button small icon="plus" onClick={() => setDialog('subscribe')}>
              Subscribe
            </Button>
          )
        }
      >
        {c.subscription_list.length === 0 ? (
          <Empty>This client has subscribed to nothing.</Empty>
        ) : (
          <SubscriptionRows rows={c.subscription_list} changed={reload} />
        )}
      </Panel>
      <Inflight flights={c.inflight_list} />
      {dialog === 'ban' && <BanDialog kind="client" value={id} onClose={close} />}
      {dialog === 'subscribe' && <SubscribeDialog client={id} onClose={close} />}
    </>
  )
}

/** durability says what the level of a client's acknowledgements means. */
const durability: Record<string, string> = {
  synced: ', acknowledged once on disk',
  memory: ', acknowledged at once',
}

function Gone({ id, error }: { id: string; error: unknown }) {
  return (
    <>
      <Failure error={error} />
      <p>
        It may have gone while you looked. <a href={link('sessions', [], { q: id })}>Look for its session</a> or{' '}
        <a href={link('clients')}>go back to the clients</a>.
      </p>
    </>
  )
}

function Traffic({ c }: { c: ClientDetail }) {
  const rows: [name: string, received: string, sent: string][] = [
    ['Messages', count(c.received_messages), count(c.sent_messages)],
    ['Packets', count(c.received_packets), count(c.sent_packets)],
    ['Bytes', bytes(c.received_bytes), bytes(c.sent_bytes)],
  ]
  return (
    <Panel title="Traffic" flush>
      <Rows
        compact
        label="Traffic"
        rowKey={([name]) => name}
        rows={rows}
        columns={[
          { key: 'of', title: 'What', main: true, cell: ([name]) => name },
          { key: 'in', title: 'Received', align: 'right', cell: ([, a]) => a },
          { key: 'out', title: 'Sent', align: 'right', cell: ([, , b]) => b },
        ]}
      />
    </Panel>
  )
}

function Waiting({ c }: { c: ClientDetail }) {
  const s = c.session
  return (
    <Panel
      title="What waits"
      actions={
        <>
          {c.congested && <Badge tone="warn">congested</Badge>}
          {c.paused && <Badge tone="warn">not read at present</Badge>}
        </>
      }
    >
      <Facts
        rows={[
          ['In flight', `${count(c.inflight)} of ${count(c.max_inflight)}`],
          ['Queued', `${count(c.queued)} messages, ${bytes(c.queued_bytes)}`],
          ['Awaiting PUBREL', count(c.awaiting_rel)],
          ['Out-buffer', bytes(c.out_buffer_bytes)],
          [
            'Parser',
            c.parser_buffered_bytes
              ? `has ${count(c.parser_buffered_bytes)} bytes (${c.parser_stage}), wants ${count(c.parser_wants_bytes)}`
              : 'at the start of a packet',
          ],
          ['Session kept', s?.durable ? 'in the store' : 'in memory'],
          ['Will', s?.will ? <Code>{s.will.topic}</Code> : 'none'],
        ]}
      />
    </Panel>
  )
}

/** Chain draws the way of a packet through this client's actors. */
function Chain({ actors }: { actors: Actor[] }) {
  return (
    <Panel title="Its actors, in the order of a packet" flush>
      {actors.length === 0 ? (
        <Empty>This client has no actors at the moment.</Empty>
      ) : (
        <ol class="chain">
          {actors.map((a) => (
            <li key={a.name}>
              <ActorName actor={a} />
              <ActorState actor={a} />
            </li>
          ))}
        </ol>
      )}
    </Panel>
  )
}

function Inflight({ flights }: { flights: Flight[] }) {
  return (
    <Panel title="In flight" flush>
      {flights.length === 0 ? (
        <Empty>Everything that was sent to this client with QoS 1 or 2 is acknowledged.</Empty>
      ) : (
        <Rows
          label="In flight"
          rowKey={(f) => String(f.packet_id)}
          rows={flights}
          columns={[
            { key: 'id', title: 'Packet ID', cell: (f) => String(f.packet_id) },
            { key: 'topic', title: 'Topic', main: true, cell: (f) => <Code>{f.topic}</Code> },
            { key: 'qos', title: 'QoS', align: 'right', cell: (f) => String(f.qos) },
            { key: 'bytes', title: 'Payload', align: 'right', cell: (f) => bytes(f.payload_bytes) },
            { key: 'at', title: 'Published', cell: (f) => <span title={time(f.published_at)}>{ago(f.published_at)}</span> },
            {
              key: 'state',
              title: 'Waits for',
              cell: (f) => (f.qos === 1 ? 'PUBACK' : f.released ? 'PUBCOMP' : 'PUBREC'),
            },
          ]}
        />
      )}
    </Panel>
  )
}
