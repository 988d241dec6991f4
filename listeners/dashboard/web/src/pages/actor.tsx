// SPDX-License-Identifier: Apache-2.0

// How an actor is shown, in the tree and beside its client.
import { ago, count, time } from '../format'
import type { Actor } from '../types'
import { Badge, Code, type Tone } from '../ui/basics'

/** What is usual is not marked: only what differs draws the eye. */
const tones: Record<string, Tone> = { up: 'ok', running: 'ok', failing: 'bad', restarting: 'warn', starting: 'info', down: 'bad', stopped: 'bad' }

export function ActorName({ actor: a }: { actor: Actor }) {
  return (
    <>
      <Code>{a.name}</Code>
      {a.module && (
        <span class="dim" title="Its module in emqttd">
          {a.module}
        </span>
      )}
    </>
  )
}

export function ActorState({ actor: a }: { actor: Actor }) {
  return (
    <span class="badges">
      <Badge tone={tones[a.state] ?? 'plain'}>{a.state}</Badge>
      {a.strategy && <Badge title="What it does about the crash of a child">{a.strategy.replaceAll('_', ' ')}</Badge>}
      {a.mailbox > 0 && <Badge title="Messages in its mailbox">{count(a.mailbox)} waiting</Badge>}
      {a.restarts > 0 && (
        <Badge tone="warn" title={a.last_restart_at ? `Last ${time(a.last_restart_at)}` : undefined}>
          {a.restarts === 1 ? 'restarted once' : `${count(a.restarts)} restarts`}
          {a.last_restart_at && ', ' + ago(a.last_restart_at)}
        </Badge>
      )}
      {a.last_reason && <span class="reason">{a.last_reason}</span>}
    </span>
  )
}
