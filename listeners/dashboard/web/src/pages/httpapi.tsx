// SPDX-License-Identifier: Apache-2.0

// The interface that this page itself uses, from its own document, to be tried.
import { useState } from 'preact/hooks'
import { sentence, useResource } from '../api'
import { type Document, type Endpoint, endpoints, sample, typeName } from '../openapi'
import { setQuery, useRoute } from '../router'
import { Badge, Button, Code, Empty, Failure, Field, Loading, Panel, TextField } from '../ui/basics'
import { Search } from '../ui/table'
import type { Page } from './page'

function HTTPAPI() {
  const { data: doc, error, reload } = useResource<Document>('/openapi.json')
  const { query } = useRoute()
  const q = query.get('q') ?? ''
  if (!doc) return error === undefined ? <Loading /> : <Failure error={error} retry={reload} />
  const word = q.toLowerCase()
  const fits = (e: Endpoint) => `${e.method} ${e.path} ${e.operation.summary}`.toLowerCase().includes(word)
  const groups = endpoints(doc)
    .map(([tag, list]): [string, Endpoint[]] => [tag, list.filter(fits)])
    .filter(([, list]) => list.length > 0)
  return (
    <>
      <Panel>
        <p>
          Everything this page shows and does goes through <code>/api/v1</code>. Programs send a user and password (Basic) or
          an API key (Bearer). The document is <a href="/api/v1/openapi.json">openapi.json</a>; for example:
        </p>
        <pre class="example" tabIndex={0}>{`curl -H 'Authorization: Bearer KEY' ${location.origin}/api/v1/clients?limit=10`}</pre>
        <Search label="Path or words" value={q} onValue={(v) => setQuery({ q: v })} />
      </Panel>
      {groups.length === 0 && <Empty>No operation matches “{q}”.</Empty>}
      {groups.map(([tag, list]) => (
        <Panel key={tag} title={about(doc, tag)} flush>
          {list.map((e) => (
            <Item key={e.method + e.path} doc={doc} endpoint={e} />
          ))}
        </Panel>
      ))}
    </>
  )
}

const about = (doc: Document, tag: string) => doc.tags?.find((t) => t.name === tag)?.description ?? tag

function Item({ doc, endpoint: e }: { doc: Document; endpoint: Endpoint }) {
  const [open, setOpen] = useState(false)
  return (
    <details class="endpoint" onToggle={(ev) => setOpen(ev.currentTarget.open)}>
      <summary>
        <span class={'method ' + e.method}>{e.method.toUpperCase()}</span>
        <Code>{e.path}</Code>
        <span class="summary">{e.operation.summary}</span>
        {e.operation['x-role'] === 'administrator' && <Badge>administrator</Badge>}
      </summary>
      {open && <Try doc={doc} endpoint={e} />}
    </details>
  )
}

interface Answer {
  status: number
  text: string
  took: number
}

function Try({ doc, endpoint: e }: { doc: Document; endpoint: Endpoint }) {
  const [values, setValues] = useState<Record<string, string>>({})
  const [body, setBody] = useState(() => (e.body ? JSON.stringify(sample(doc, e.body), null, 2) : ''))
  const [answer, setAnswer] = useState<Answer | string>()
  const [busy, setBusy] = useState(false)
  const send = async (event: Event) => {
    event.preventDefault()
    setBusy(true)
    try {
      setAnswer(await call(e, values, body))
    } catch (error) {
      setAnswer(sentence(error))
    }
    setBusy(false)
  }
  const stream = e.operation.responses?.['200']?.content?.['text/event-stream'] !== undefined
  return (
    <form class="try" onSubmit={send}>
      {e.operation.description && <p class="dim">{e.operation.description}</p>}
      <div class="form">
        {e.parameters.map((p) => (
          <TextField
            key={p.in + p.name}
            label={p.name + (p.in === 'path' ? ' (in the path)' : '')}
            required={p.required}
            value={values[p.name] ?? ''}
            onValue={(v) => setValues((was) => ({ ...was, [p.name]: v }))}
            hint={[p.description, typeName(p.schema)].filter(Boolean).join(' – ')}
          />
        ))}
        {e.body && (
          <Field label={`Body: ${typeName(e.body)}`} wide>
            {(id) => (
              <textarea id={id} spellcheck={false} rows={Math.min(12, body.split('\n').length + 1)} value={body} onInput={(ev) => setBody(ev.currentTarget.value)} />
            )}
          </Field>
        )}
      </div>
      {stream ? (
        <p class="dim">A stream of events: this page reads it all the time.</p>
      ) : (
        <Button type="submit" look="primary" icon="play" disabled={busy}>
          {e.method === 'get' ? 'Ask' : 'Do it'}
        </Button>
      )}
      {typeof answer === 'string' && <Failure error={answer} />}
      {typeof answer === 'object' && (
        <div class="answer" aria-live="polite">
          <p>
            <Badge tone={answer.status < 400 ? 'ok' : 'bad'}>{answer.status}</Badge> <span class="dim">in {answer.took} ms</span>
          </p>
          {answer.text && <pre tabIndex={0}>{answer.text}</pre>}
        </div>
      )}
    </form>
  )
}

const most = 200_000 // characters of an answer that are shown

async function call(e: Endpoint, values: Record<string, string>, body: string): Promise<Answer> {
  const path = e.path.replace(/\{([^}]+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ''))
  const q = new URLSearchParams()
  for (const p of e.parameters) {
    const v = values[p.name]
    if (p.in === 'query' && v) q.set(p.name, v)
  }
  const from = performance.now()
  const answer = await fetch('/api/v1' + path + (q.size ? '?' + q : ''), {
    method: e.method.toUpperCase(),
    headers: { 'X-Requested-With': 'emqttd', ...(e.body && { 'Content-Type': 'application/json' }) },
    body: e.body ? body : undefined,
  })
  const text = await answer.text()
  return { status: answer.status, text: tidy(text).slice(0, most), took: Math.round(performance.now() - from) }
}

function tidy(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}

export const httpapi: Page = { id: 'http_api', title: 'HTTP API', group: 'Manage', icon: 'http', view: HTTPAPI }
