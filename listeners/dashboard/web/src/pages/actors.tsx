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
import { Rows } from '../ui/table'
import { attempt } from '../ui/toast'
import { Tree, type TreeNode } from '../ui/tree'
import { ActorName, ActorState } from './actor'
import type { Page } from './page'

function Actors() {
  const { query } = useRoute()
  const kinds = query.get('view') === 'kinds'
  const name = query.get('actor') ?? undefined
  return (
    <Panel
      title={kinds ? 'By kind' : 'Who restarts whom'}
        flush
        actions={
          <Segments
            label="View"
            value={kinds ? 'kinds' : 'tree'}
            onValue={(v) => setQuery({ view: v === 'kinds' ? v : '' })}
            options={[
              ['tree', 'Tree'],
              ['kinds', 'Kinds'],
            ]}
          />
        }
      >
        {kinds ? <Kinds /> : <Supervision name={name} />}
      </Panel>
  )
}

const few = 20 // connections and sessions that are listed at first
const many = 500

function Supervision({ name }: { name?: string }) {
  const [most, setMost] = useState(few)
  const { data: root, error, reload } = useResource<Actor>('/actors' + params({ max: most }), 1000)
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
        onSelect={(n) => setQuery({ actor: n.id })}
      />
      {hidden(root) > 0 && (
        <p class="below">
          {plural(hidden(root), 'more connection or session actor', 'more actors of connections and sessions')} not listed.{' '}
          {most < many && (
            <Button small onClick={() => setMost(many)}>
              List up to {many} each
            </Button>
          )}{' '}
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

/** node makes a tree node of an actor; the tree is as deep as the broker's boot list. */
function node(a: Actor): TreeNode {
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
    children: a.children?.length ? ordered(a).map(node) : undefined,
  }
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

export const actors: Page = { id: 'actors', title: 'Actors', group: 'Tools', icon: 'actors', view: Actors }
