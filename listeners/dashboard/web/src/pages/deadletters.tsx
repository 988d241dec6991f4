// SPDX-License-Identifier: Apache-2.0

// Messages that crashed the session they were for, twice: what they were, and what
// becomes of them.
import { useState } from 'preact/hooks'
import { del, post, segment, useResource } from '../api'
import { age, bytes, count, plural, time } from '../format'
import { link } from '../router'
import { admin } from '../session'
import type { DeadLetter, Grave } from '../types'
import { Button, Code, Empty, Failure, Loading, Notice, Panel } from '../ui/basics'
import { ask } from '../ui/dialog'
import { type Column, Rows, Table } from '../ui/table'
import { toast } from '../ui/toast'
import type { Page } from './page'
import { Payload } from './retained'

const path = (id: string) => '/dead_letters/' + segment(id)

const columns: Column<Grave>[] = [
  {
    key: 'id',
    title: 'Client ID',
    main: true,
    cell: (g) =>
      admin() ? (
        <a href={link('dead_letters', [g.client_id])}>
          <Code>{g.client_id}</Code>
        </a>
      ) : (
        <Code>{g.client_id}</Code>
      ),
  },
  { key: 'letters', title: 'Messages', align: 'right', cell: (g) => count(g.letters) },
  { key: 'bytes', title: 'Bytes', align: 'right', cell: (g) => bytes(g.bytes) },
  { key: 'newest', title: 'Newest', cell: (g) => <span title={time(g.newest_at)}>{age(g.newest_at)} ago</span> },
]

const letters: Column<DeadLetter>[] = [
  { key: 'topic', title: 'Topic', main: true, align: 'text', cell: (l) => <Code>{l.topic}</Code> },
  { key: 'from', title: 'From', cell: (l) => (l.from ? <Code>{l.from}</Code> : <span class="dim">unknown</span>) },
  { key: 'qos', title: 'QoS', align: 'right', cell: (l) => String(l.qos) },
  { key: 'at', title: 'Crashed', cell: (l) => <span title={time(l.crashed_at)}>{age(l.crashed_at)} ago</span> },
  { key: 'reason', title: 'Reason', align: 'text', cell: (l) => l.reason },
]

/** replay hands letters to the session again, once agreed to; none named: all. */
function replay(id: string, what: string, serials: number[], done: () => void) {
  ask({
    title: 'Replay?',
    body: (
      <p>
        <Code>{id}</Code> gets {what} again, as new messages. What still crashes its session comes back here.
      </p>
    ),
    action: 'Replay',
    submit: async () => {
      const gone = await post<DeadLetter[]>(path(id) + '/replay' + query(serials))
      toast(`${plural(gone.length, 'message')} replayed.`)
      done()
    },
  })
}

function remove(id: string, what: string, serials: number[], done: () => void) {
  ask({
    title: 'Delete?',
    body: (
      <p>
        <Code>{id}</Code> never gets {what}. This cannot be undone.
      </p>
    ),
    action: 'Delete',
    danger: true,
    submit: async () => {
      const gone = await del<DeadLetter[]>(path(id) + query(serials))
      toast(`${plural(gone.length, 'message')} deleted.`)
      done()
    },
  })
}

const query = (serials: number[]) => (serials.length > 0 ? '?serials=' + serials.join(',') : '')

function DeadLetters({ rest }: { rest: string[] }) {
  const id = rest[0]
  return id !== undefined && admin() ? <Letters id={id} /> : <Graves />
}

function Graves() {
  const [version, setVersion] = useState(0)
  const changed = () => setVersion((v) => v + 1)
  const all = (g: Grave) => (g.letters === 1 ? 'its dead letter' : `all its ${count(g.letters)} dead letters`)
  return (
    <Panel flush>
      <Table
        label="Sessions with dead letters"
        path="/dead_letters"
        search="Client ID"
        columns={columns}
        rowKey={(g) => g.client_id}
        version={version}
        empty="No session has a dead letter. A message that crashes the session it is for at both attempts is put aside here; the session goes on with the next one."
        actions={
          admin()
            ? (g) => (
                <>
                  <Button small look="quiet" icon="reload" label={`Replay all of ${g.client_id}`} onClick={() => replay(g.client_id, all(g), [], changed)} />
                  <Button small look="quiet" icon="trash" label={`Delete all of ${g.client_id}`} onClick={() => remove(g.client_id, all(g), [], changed)} />
                </>
              )
            : undefined
        }
      />
    </Panel>
  )
}

function Letters({ id }: { id: string }) {
  const { data, error, reload } = useResource<DeadLetter[]>(path(id), 5000)
  const [open, setOpen] = useState<number>()
  const shown = data?.find((l) => l.serial === open)
  return (
    <>
      <Panel
        title={<Code>{id}</Code>}
        flush
        actions={
          data &&
          data.length > 0 && (
            <>
              <Button small icon="reload" onClick={() => replay(id, 'all of them', [], reload)}>
                Replay all
              </Button>
              <Button small look="danger" icon="trash" onClick={() => remove(id, 'any of them', [], reload)}>
                Delete all
              </Button>
            </>
          )
        }
      >
        {!data && (error === undefined ? <Loading /> : <Failure error={error} retry={reload} />)}
        {data?.length === 0 && (
          <Empty icon="check">
            This session has no dead letter any more. <a href={link('dead_letters')}>All sessions</a>
          </Empty>
        )}
        {data && data.length > 0 && (
          <Rows
            label={`Dead letters of ${id}`}
            rowKey={(l) => String(l.serial)}
            rows={data}
            columns={letters}
            actions={(l) => (
              <>
                <Button small look="quiet" icon="info" label={`Payload of ${l.topic}`} pressed={l.serial === open} onClick={() => setOpen(l.serial === open ? undefined : l.serial)} />
                <Button small look="quiet" icon="reload" label={`Replay ${l.topic}`} onClick={() => replay(id, 'this message', [l.serial], reload)} />
                <Button small look="quiet" icon="trash" label={`Delete ${l.topic}`} onClick={() => remove(id, 'this message', [l.serial], reload)} />
              </>
            )}
          />
        )}
      </Panel>
      {shown && (
        <Panel title={<Code>{shown.topic}</Code>}>
          {shown.retain && <Notice>It was to be delivered as a retained message.</Notice>}
          <Payload base64={shown.payload_base64 ?? ''} text={shown.payload_text} />
        </Panel>
      )}
    </>
  )
}

export const deadLetters: Page = {
  id: 'dead_letters',
  title: 'Dead letters',
  about: 'Messages that crashed the session they were for, twice. They are kept until somebody replays or deletes them.',
  group: 'Messages',
  icon: 'letter',
  view: DeadLetters,
}
