// SPDX-License-Identifier: Apache-2.0

// How an actor is shown, in the tree and beside its client.
import { ago, count, plural, time } from '../format'
import type { Actor } from '../types'
import { Badge, Code, type Tone } from '../ui/basics'

const tones: Record<string, Tone> = { up: 'ok', waiting: 'info', restarting: 'warn', failing: 'bad', ended: 'plain' }

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

/** ActorState says what differs from an actor that has nothing to do. */
export function ActorState({ actor: a }: { actor: Actor }) {
  return (
    <span class="badges">
      <Badge tone={tones[a.state] ?? 'plain'}>{a.state}</Badge>
      {a.strategy && <Badge title="What it does about the crash of a child">{a.strategy.replaceAll('_', ' ')}</Badge>}
      {a.mailbox > 0 && <Badge title="Messages in its mailbox">{count(a.mailbox)} waiting</Badge>}
      {a.restarts > 0 && (
        <Badge tone="warn" title={a.last_crash_at ? `Last crash ${time(a.last_crash_at)}` : undefined}>
          {plural(a.restarts, 'restart')}
          {a.last_crash_at && ', ' + ago(a.last_crash_at)}
        </Badge>
      )}
      {a.last_poison && (
        <Badge tone="bad" title="The same message crashed it twice: its cause pays, nobody else">
          poison
        </Badge>
      )}
      {a.last_reason && <span class="reason">{a.last_reason}</span>}
    </span>
  )
}
