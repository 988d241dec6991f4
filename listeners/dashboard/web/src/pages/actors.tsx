// SPDX-License-Identifier: Apache-2.0

// The live supervision tree: who restarts whom, how often they had to, and where
// chaos is allowed, a way to see it happen.
import { useState } from 'preact/hooks'
import { params, post, useResource } from '../api'
import { ago, count, duration, plural, time } from '../format'
import { link, setQuery, useRoute } from '../router'
import { admin } from '../session'
import type { Actor, ActorKind, Node } from '../types'
import { Badge, Button, Code, Empty, Facts, Failure, Loading, Notice, Panel, Segments } from '../ui/basics'
import { type Column, Rows, Table } from '../ui/table'
import { attempt } from '../ui/toast'
import { Tree, type TreeNode } from '../ui/tree'
import { ActorName, ActorState } from './actor'
import type { Page } from './page'

function Actors() {
  const { query } = useRoute()
  const kinds = query.get('view') === 'kinds'
  const of = query.get('of') ?? undefined
  const name = query.get('actor') ?? undefined
  return (
    <Panel
      title={kinds ? 'By kind' : of !== undefined ? <>Children of <Code>{of}</Code></> : 'Who restarts whom'}
      flush
      actions={
        <>
          {of !== undefined && !kinds && (
            <Button small icon="left" onClick={() => setQuery({ of: '', page: '' })}>
              Back to the tree
            </Button>
          )}
          <Segments
            label="View"
            value={kinds ? 'kinds' : 'tree'}
            onValue={(v) => setQuery({ view: v === 'kinds' ? v : '', of: '', page: '' })}
            options={[
              ['tree', 'Tree'],
              ['kinds', 'Kinds'],
            ]}
          />
        </>
      }
    >
      {kinds ? <Kinds /> : of !== undefined ? <Children of={of} name={name} /> : <Supervision name={name} />}
    </Panel>
  )
}

const few = 20 // connections and sessions that are listed in the tree

function Supervision({ name }: { name?: string }) {
  const { data: root, error, reload } = useResource<Actor>('/actors' + params({ max: few }), 1000)
  const [shut, setShut] = useState<ReadonlySet<string>>(new Set())
  if (!root) return error === undefined ? <Loading /> : <Failure error={error} retry={reload} />
  // Everything is open at first; what was shut is remembered.
  const open = new Set(names(root).filter((n) => !shut.has(n)))
  const toggle = (n: TreeNode, on: boolean) => {
    const next = new Set(shut)
    on ? next.delete(n.id) : next.add(n.id)
    setShut(next)
  }
  const chosen = name === undefined ? undefined : find(root, name)
  return (
    <>
      {error !== undefined && <Failure error={error} retry={reload} />}
      <Tree
        label="Supervision tree"
        nodes={[node(root)]}
        open={open}
        onToggle={toggle}
        selected={name}
        onSelect={(n) => (n.id.startsWith(rest) ? setQuery({ of: n.id.slice(rest.length), page: '' }) : setQuery({ actor: n.id }))}
      />
      {hidden(root) > 0 && (
        <p class="below">
          {plural(hidden(root), 'actor', 'actors')} of connections and sessions not listed here.{' '}
          <a href={link('clients')}>Look for a client</a> to see its own.
        </p>
      )}
      {name !== undefined && <Detail name={name} actor={chosen} changed={reload} />}
    </>
  )
}

/** all lists an actor and what is below it, without recursion. */
function all(root: Actor): Actor[] {
  const out = [root]
  for (let i = 0; i < out.length; i++) out.push(...(out[i]!.children ?? []))
  return out
}

const names = (root: Actor) => all(root).map((a) => a.name)
const find = (root: Actor, name: string) => all(root).find((a) => a.name === name)
const hidden = (root: Actor) => all(root).reduce((n, a) => n + (a.more_children ?? 0), 0)

/** Connections and sessions come in no order; a row that jumps cannot be read. */
const ordered = (a: Actor): Actor[] =>
  a.strategy === 'simple_one_for_one' ? [...a.children!].sort((x, y) => byName.compare(x.name, y.name)) : a.children!
const byName = new Intl.Collator('en', { numeric: true })

const rest = 'rest of ' // begins the identifier of the row that stands for the children not listed

/** node makes a tree node of an actor; the tree is as deep as the broker's boot list. */
function node(a: Actor): TreeNode {
  const below = a.children?.length ? ordered(a).map(node) : undefined
  if (a.more_children) {
    const text = `${count(a.more_children)} more: list all, page by page`
    below?.push({ id: rest + a.name, text, label: <span class="link">{text}</span> })
  }
  return {
    id: a.name,
    text: `${a.name}, ${a.state}`,
    label: (
      <>
        <ActorName actor={a} />
        <ActorState actor={a} />
        {a.supervisor && (a.children?.length ?? 0) + (a.more_children ?? 0) === 0 && <span class="dim">no child at present</span>}
      </>
    ),
    children: below,
  }
}

const childColumns: Column<Actor>[] = [
  {
    key: 'name',
    title: 'Actor',
    main: true,
    cell: (a) => (
      <button type="button" class="link" onClick={() => setQuery({ actor: a.name })}>
        <Code>{a.name}</Code>
      </button>
    ),
  },
  { key: 'state', title: 'State', align: 'text', cell: (a) => <ActorState actor={a} /> },
  { key: 'restarts', title: 'Restarts', align: 'right', cell: (a) => count(a.restarts) },
]

/** Children are the pages of one supervisor's children, in the order of their start. */
function Children({ of, name }: { of: string; name?: string }) {
  const [version, setVersion] = useState(0)
  const [rows, setRows] = useState<Actor[]>([])
  return (
    <>
      <Table
        label={`Children of ${of}`}
        path="/actors/children"
        filter={{ of }}
        columns={childColumns}
        rowKey={(a) => a.name}
        every={2000}
        version={version}
        onRows={setRows}
        empty="It has no child at present."
      />
      {name !== undefined && <Detail name={name} actor={rows.find((a) => a.name === name)} changed={() => setVersion((v) => v + 1)} />}
    </>
  )
}

/** Detail is a dialog-like panel that floats at the side, or below on a phone. */
function Detail({ name, actor: a, changed }: { name: string; actor?: Actor; changed: () => void }) {
  const { data: own } = useResource<Node>('/node')
  const close = () => setQuery({ actor: '' })
  const act = async (what: 'stop' | 'crash') => {
    const done = what === 'stop' ? `${name} was stopped; its supervisor starts it again.` : `${name} was told to crash.`
    if (await attempt(() => post('/actors/' + what, { name }), done)) changed()
  }
  return (
    <aside class="float" aria-label={`Actor ${name}`}>
      <Panel
        title={<Code>{name}</Code>}
        actions={<Button small look="quiet" icon="close" label="Close" onClick={close} />}
      >
        {!a ? (
          <Empty>There is no actor of this name among those listed: it has come to its end, or belongs to a client that is not listed.</Empty>
        ) : (
          <>
            <Facts
              rows={[
                ['State', <ActorState actor={{ ...a, last_reason: undefined, strategy: undefined }} />],
                ['Kind', a.kind],
                ['emqttd', a.module || 'no counterpart'],
                ['Mailbox', plural(a.mailbox, 'message')],
                ['Restarts', count(a.restarts)],
                ...(a.strategy
                  ? ([
                      ['Strategy', a.strategy.replaceAll('_', ' ')],
                      [
                        'Intensity',
                        a.max_restarts
                          ? `${count(a.used_restarts ?? 0)} of ${count(a.max_restarts)} restarts in ${duration(a.within_seconds)}`
                          : 'not counted',
                        'One more crash than that, and it gives up itself',
                      ],
                    ] as [string, string, string?][])
                  : []),
              ]}
            />
            {a.last_reason && <LastCrash a={a} />}
            {admin() && own && <Buttons chaos={own.chaos} act={act} />}
          </>
        )}
      </Panel>
    </aside>
  )
}

function LastCrash({ a }: { a: Actor }) {
  return (
    <div class="stack">
      <p>
        <strong>Last crash</strong> <span title={time(a.last_crash_at)}>{ago(a.last_crash_at)}</span>
        {a.last_message && (
          <>
            , at <Code>{a.last_message}</Code>
          </>
        )}
        {a.last_poison && ', the second time'}
        : <Code>{a.last_reason}</Code>
      </p>
      {a.last_stack && (
        <details>
          <summary>Stack</summary>
          <pre tabIndex={0}>{a.last_stack}</pre>
        </details>
      )}
    </div>
  )
}

function Buttons({ chaos, act }: { chaos: boolean; act: (what: 'stop' | 'crash') => void }) {
  if (!chaos) {
    return (
      <Notice tone="plain">
        To crash or stop actors on purpose, start the broker with <code>chaos.enabled: true</code>.
      </Notice>
    )
  }
  return (
    <div class="buttons">
      <Button look="danger" icon="crash" onClick={() => act('crash')}>
        Crash it
      </Button>
      <Button look="danger" icon="stop" onClick={() => act('stop')}>
        Stop it
      </Button>
    </div>
  )
}

function Kinds() {
  const { data, error, reload } = useResource<ActorKind[]>('/actors/kinds', 2000)
  if (!data) return error === undefined ? <Loading /> : <Failure error={error} retry={reload} />
  return (
    <Rows
      label="Actors by kind"
      rowKey={(k) => k.kind}
      rows={data}
      columns={[
        { key: 'kind', title: 'Kind', main: true, cell: (k) => <Code>{k.kind}</Code> },
        { key: 'module', title: 'In emqttd', cell: (k) => k.module || <span class="dim">no counterpart</span> },
        { key: 'alive', title: 'Alive', align: 'right', cell: (k) => count(k.alive) },
        { key: 'crashes', title: 'Crashes', align: 'right', cell: (k) => count(k.crashes) },
        { key: 'restarts', title: 'Restarts', align: 'right', cell: (k) => count(k.restarts) },
        { key: 'poison', title: 'Poison', align: 'right', cell: (k) => (k.poisoned > 0 ? <Badge tone="bad">{count(k.poisoned)}</Badge> : '0') },
        { key: 'dropped', title: 'Dropped', align: 'right', cell: (k) => count(k.dropped) },
      ]}
    />
  )
}

export const actors: Page = {
  id: 'actors',
  title: 'Actors',
  about: 'All the broker’s work is done by these actors. Each is started again by the one above it, and its crash costs no client its connection.',
  group: 'Tools',
  icon: 'actors',
  view: Actors,
}
