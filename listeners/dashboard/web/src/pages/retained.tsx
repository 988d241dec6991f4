// SPDX-License-Identifier: Apache-2.0

// Retained messages as the tree of their topics: a level is asked for when it is
// opened, so a million of them cost what is looked at.
import { useEffect, useState } from 'preact/hooks'
import { del, get, segment, sentence, useResource } from '../api'
import { age, ago, bytes, count, plural, time } from '../format'
import { link, setQuery, useRoute } from '../router'
import { admin } from '../session'
import type { Branch, Retained, RetainedMessage } from '../types'
import { Badge, Button, Code, Empty, Facts, Failure, Loading, Panel, Segments } from '../ui/basics'
import { ask } from '../ui/dialog'
import { type Column, type PageOf, Table } from '../ui/table'
import { toast } from '../ui/toast'
import { Tree, type TreeNode } from '../ui/tree'
import { dump, fromBase64 } from '../bytes'
import type { Page } from './page'

interface Level {
  items: Branch[]
  note?: string
}

function Retained() {
  const { query } = useRoute()
  const topic = query.get('topic') ?? undefined
  const view = query.get('view') === 'list' ? 'list' : 'tree'
  const [version, setVersion] = useState(0)
  const deleted = () => {
    setQuery({ topic: '' })
    setVersion((v) => v + 1)
  }
  return (
    <div class={topic === undefined ? 'stack' : 'beside'}>
      <Panel
        title="Topics"
        flush
        actions={
          <Segments
            label="View"
            value={view}
            onValue={(v) => setQuery({ view: v === 'list' ? v : '' })}
            options={[
              ['tree', 'Tree'],
              ['list', 'List'],
            ]}
          />
        }
      >
        {view === 'list' ? <RetainedList version={version} /> : <TopicTree key={version} selected={topic} />}
      </Panel>
      {topic !== undefined && <MessagePanel key={topic} topic={topic} deleted={deleted} />}
    </div>
  )
}

const pick = (topic: string) => setQuery({ topic })

function TopicTree({ selected }: { selected?: string }) {
  const [levels, setLevels] = useState<ReadonlyMap<string, Level>>(new Map())
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set())
  const [error, setError] = useState<unknown>()
  const load = async (prefix: string | undefined) => {
    const key = prefix === undefined ? top : root + prefix
    try {
      const page = await get<PageOf<Branch>>('/retained/tree?limit=500' + (prefix === undefined ? '' : '&prefix=' + segment(prefix)))
      const rest = page.total - page.items.length
      setLevels((was) => new Map(was).set(key, { items: page.items, note: rest > 0 ? `${count(rest)} more: use the list` : undefined }))
    } catch (failed) {
      if (prefix === undefined) setError(failed)
      else setLevels((was) => new Map(was).set(key, { items: [], note: sentence(failed) }))
    }
  }
  useEffect(() => void load(undefined), [])
  // A topic that is shown is there to be seen in the tree, too.
  useEffect(() => {
    if (selected === undefined) return
    const above = prefixes(selected)
    setOpen((was) => new Set([...was, ...above.map((p) => root + p)]))
    for (const prefix of above) if (!levels.has(root + prefix)) void load(prefix)
  }, [selected])
  if (error !== undefined) return <Failure error={error} retry={() => (setError(undefined), void load(undefined))} />
  const first = levels.get(top)
  if (!first) return <Loading />
  if (first.items.length === 0) {
    return (
      <Empty>
        No message is retained. Publish one with the retain flag, for example <code>emqtt pub -r -t room/4 -m hello</code>.
      </Empty>
    )
  }
  const toggle = (node: TreeNode, on: boolean) => {
    const next = new Set(open)
    on ? next.add(node.id) : next.delete(node.id)
    setOpen(next)
    const topic = node.id.slice(root.length)
    if (on && !levels.has(node.id)) void load(topic)
  }
  return (
    <Tree
      label="Retained messages by topic"
      nodes={branches(first.items, levels)}
      open={open}
      onToggle={toggle}
      selected={selected === undefined ? undefined : root + selected}
      onSelect={(n) => (n.text.endsWith(messageMark) ? pick(n.id.slice(root.length)) : toggle(n, !open.has(n.id)))}
    />
  )
}

/** prefixes of a/b/c are a and a/b. */
function prefixes(topic: string): string[] {
  const levels = topic.split('/')
  return levels.slice(1).map((_, i) => levels.slice(0, i + 1).join('/'))
}

/** Identifiers in the tree begin with root, since a topic's first level may be empty; top is above all. */
const root = '>'
const top = ''
const messageMark = ', has a message'

/** branches makes tree nodes of what was loaded, deepest first, as deep as a person opened it. */
function branches(items: Branch[], levels: ReadonlyMap<string, Level>): TreeNode[] {
  return items.map((b) => {
    const id = root + b.topic
    const below = levels.get(id)
    return {
      id,
      text: b.level + (b.message ? messageMark : ''),
      label: (
        <>
          <Code>{b.level === '' ? '(empty level)' : b.level}</Code>
          {!b.leaf && <span class="dim">{plural(b.messages, 'message')}</span>}
          {b.message && (
            <span class="dim">
              {bytes(b.message.payload_bytes)}, {ago(b.message.published_at)}
            </span>
          )}
          {b.message && <Badge>QoS {b.message.qos}</Badge>}
        </>
      ),
      children: b.leaf ? undefined : below ? branches(below.items, levels) : [],
      note: below ? below.note : 'loading …',
    }
  })
}

/** nobody is who published what no client has: the broker itself, or a program through HTTP. */
const nobody = (r: Retained) => (r.topic.startsWith('$SYS/') ? 'the broker' : 'no client')

const listColumns: Column<Retained>[] = [
  {
    key: 'topic',
    title: 'Topic',
    sort: 'topic',
    main: true,
    cell: (r) => (
      <a href={link('retained', [], { view: 'list', topic: r.topic })}>
        <Code>{r.topic}</Code>
      </a>
    ),
  },
  { key: 'qos', title: 'QoS', align: 'right', cell: (r) => String(r.qos) },
  { key: 'bytes', title: 'Payload', sort: 'payload_bytes', align: 'right', cell: (r) => bytes(r.payload_bytes) },
  { key: 'from', title: 'From', cell: (r) => (r.from ? <Code>{r.from}</Code> : <span class="dim">{nobody(r)}</span>) },
  { key: 'at', title: 'Published', sort: 'published_at', cell: (r) => <span title={time(r.published_at)}>{age(r.published_at)} ago</span> },
]

const RetainedList = ({ version }: { version: number }) => (
  <Table
    label="Retained messages"
    path="/retained"
    search="Topic"
    columns={listColumns}
    rowKey={(r) => r.topic}
    sort="topic"
    version={version}
    empty="No message is retained."
  />
)

function MessagePanel({ topic, deleted }: { topic: string; deleted: () => void }) {
  const { data: m, error, reload } = useResource<RetainedMessage>('/retained/message?topic=' + segment(topic))
  const remove = () =>
    ask({
      title: 'Delete this message?',
      body: (
        <p>
          Whoever subscribes to <Code>{topic}</Code> from now on gets nothing until somebody publishes there again.
        </p>
      ),
      action: 'Delete',
      danger: true,
      submit: async () => {
        await del('/retained/message?topic=' + segment(topic))
        toast('The retained message is deleted.')
        deleted()
      },
    })
  return (
    <Panel
      title={<Code>{topic}</Code>}
      actions={
        <>
          {admin() && m && (
            <Button small look="danger" icon="trash" onClick={remove}>
              Delete
            </Button>
          )}
          <Button small look="quiet" icon="close" label="Close" onClick={() => setQuery({ topic: '' })} />
        </>
      }
    >
      {error !== undefined && <Failure error={error} retry={reload} />}
      {!m && error === undefined && <Loading />}
      {m && (
        <>
          <Facts
            rows={[
              ['QoS', String(m.qos)],
              ['Payload', bytes(m.payload_bytes)],
              ['From', m.from ? <Code>{m.from}</Code> : nobody(m)],
              ['Published', ago(m.published_at), time(m.published_at)],
              ['Expires', m.expires_at ? time(m.expires_at) : 'never'],
              ...(m.content_type ? ([['Content type', m.content_type]] as [string, string][]) : []),
              ...(m.response_topic ? ([['Response topic', <Code>{m.response_topic}</Code>]] as [string, preact.ComponentChild][]) : []),
              ...(m.user_properties ?? []).map((p): [string, preact.ComponentChild] => [p.key, p.value]),
            ]}
          />
          <Payload base64={m.payload_base64} text={m.payload_text} />
        </>
      )}
    </Panel>
  )
}

/** Payload shows bytes as text, as tidied JSON, or as a dump. */
export function Payload({ base64, text }: { base64: string; text?: string }) {
  const json = text === undefined ? undefined : tidy(text)
  const views: [string, string][] = []
  if (json !== undefined) views.push(['json', 'JSON'])
  if (text !== undefined) views.push(['text', 'Text'])
  views.push(['bytes', 'Bytes'])
  const [view, setView] = useState(views[0]![0])
  return (
    <div class="payload">
      <Segments label="Payload as" value={view} onValue={setView} options={views} />
      {/* Focusable, so that the keyboard can scroll it. */}
      <pre tabIndex={0} aria-label="Payload">
        {view === 'json' ? json : view === 'text' ? text : dump(fromBase64(base64)) || '(no bytes)'}
      </pre>
    </div>
  )
}

function tidy(text: string): string | undefined {
  if (!/^\s*[[{]/.test(text)) return undefined
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return undefined
  }
}

export const retained: Page = {
  id: 'retained',
  title: 'Retained',
  about: 'The last message of each topic that was published with the retain flag: whoever subscribes gets it at once.',
  group: 'Messages',
  icon: 'retained',
  view: Retained,
}
