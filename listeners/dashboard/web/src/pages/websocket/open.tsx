// SPDX-License-Identifier: Apache-2.0

// Where to connect, and what the upgrade request says.
import { useEffect, useState } from 'preact/hooks'
import { admin } from '../../session'
import { Button, Check, Panel, TextField } from '../../ui/basics'
import { sentence } from '../../api'
import { useKept } from './keep'
import * as stream from './stream'
import type { About, Door } from './types'

/** address is a listener's URL under the name by which this page was reached. */
export function address(d: Door): string {
  const port = d.address.slice(d.address.lastIndexOf(':') + 1)
  const host = location.hostname || 'localhost'
  return `${d.tls ? 'wss' : 'ws'}://${host}:${port}${d.path}`
}

/** first is the listener to begin with: the article's, if it is there. */
export const first = (about: About): Door | undefined => about.listeners.find((d) => d.name === 'ws:default') ?? about.listeners[0]

const blank = { url: '', key: '', protocol: 'mqtt', version: '13', origin: '', insecure: false }

export function OpenForm({ about, onOpened, onArticle }: { about: About; onOpened: (id: string) => void; onArticle: () => Promise<void> }) {
  const [form, change] = useKept('open', blank)
  const [error, setError] = useState<string>()
  const [busy, setBusy] = useState(false)
  const door = first(about)
  useEffect(() => {
    if (form.url === '' && door) change({ url: address(door) })
  }, [door])
  const attempt = async (work: () => Promise<void>) => {
    setBusy(true)
    setError(undefined)
    try {
      await work()
    } catch (failed) {
      setError(sentence(failed))
    }
    setBusy(false)
  }
  const connect = (e: Event) => {
    e.preventDefault()
    void attempt(async () => {
      const c = await stream.open({
        url: form.url,
        key: form.key,
        protocol: form.protocol,
        version: form.version,
        insecure: form.insecure,
        headers: form.origin ? [{ name: 'Origin', value: form.origin }] : [],
      })
      onOpened(c.id)
    })
  }
  return (
    <Panel title="New connection">
      <p class="lead">
        The broker opens the connection as a client from outside, with its own upgrade and its own frames, and shows every byte. A browser would
        hide them.
      </p>
      <form class="form" onSubmit={connect}>
        <div class="wide url">
          <TextField label="WebSocket URL" type="url" required value={form.url} onValue={(url) => change({ url })} placeholder="ws://localhost:8083/mqtt" />
          <div class="presets">
            {about.listeners.map((d) => (
              <Button key={d.name} small look="quiet" pressed={form.url === address(d)} onClick={() => change({ url: address(d) })}>
                {d.name}
              </Button>
            ))}
          </div>
        </div>
        <details class="wide">
          <summary>The upgrade request</summary>
          <div class="form">
            <TextField label="Sub-protocol" value={form.protocol} onValue={(protocol) => change({ protocol })} hint="mqtt; try another one and see the answer" />
            <TextField label="WebSocket version" value={form.version} onValue={(version) => change({ version })} hint="13 is RFC 6455" />
            <TextField label="Sec-WebSocket-Key" value={form.key} onValue={(key) => change({ key })} hint="empty: sixteen random bytes" />
            <TextField label="Origin" value={form.origin} onValue={(origin) => change({ origin })} hint="the page a browser would name" />
            {admin() && about.limits.other_hosts && (
              <Check label="Take any certificate (wss)" checked={form.insecure} onValue={(insecure) => change({ insecure })} />
            )}
          </div>
        </details>
        {error && (
          <p class="error wide" role="alert">
            {error}
          </p>
        )}
        <div class="end">
          <Button type="submit" look="primary" icon="websocket" disabled={busy}>
            Connect
          </Button>
          <Button icon="play" disabled={busy || !door} onClick={() => void attempt(onArticle)} title="Connects to this broker and sends CONNECT in 13 frames">
            Play the article
          </Button>
        </div>
        <p class="hint wide">
          {about.limits.other_hosts
            ? 'Any ws:// or wss:// address can be looked at; up to '
            : 'The listeners of this broker can be looked at; up to '}
          {about.limits.max_connections} connections at a time.
        </p>
      </form>
    </Panel>
  )
}
