// SPDX-License-Identifier: Apache-2.0

// The broker's stream of events: one EventSource for the whole page, open while
// someone is logged in. It reconnects by itself.
import { useEffect } from 'preact/hooks'
import { store } from './store'

export type Line = 'off' | 'connecting' | 'live' | 'lost'

/** line says how the stream is, for the mark in the header. */
export const line = store<Line>('off')

/** types are the groups of events that pages look at; clients that come and go are too many. */
const types = 'stats,alarm'

const pause = 2000 // ms

type Listener = (data: unknown) => void
const listeners = new Map<string, Set<Listener>>()
const attached = new Set<string>()
let source: EventSource | undefined
let retry: ReturnType<typeof setTimeout> | undefined

const dispatch = (event: MessageEvent<string>) => {
  let data: unknown
  try {
    data = JSON.parse(event.data)
  } catch {
    return // not an event of ours
  }
  for (const f of [...(listeners.get(event.type) ?? [])]) f(data)
}

function attach(type: string) {
  if (!source || attached.has(type)) return
  attached.add(type)
  source.addEventListener(type, dispatch as (e: Event) => void)
}

/**
 * open begins the stream. refused is called, after a pause, when the broker
 * answers it with something else, such as 401: the browser then gives it up.
 */
export function open(refused: () => void) {
  close()
  line.set('connecting')
  source = new EventSource('/api/v1/events?types=' + types)
  source.onopen = () => line.set('live')
  source.onerror = () => {
    line.set('lost')
    if (source?.readyState === EventSource.CLOSED) retry = setTimeout(refused, pause)
  }
  for (const type of listeners.keys()) attach(type)
}

export function close() {
  clearTimeout(retry)
  source?.close()
  source = undefined
  attached.clear()
  line.set('off')
}

/** on calls f with each event of a type; the result ends that. */
export function on<T>(type: string, f: (data: T) => void): () => void {
  let set = listeners.get(type)
  if (!set) listeners.set(type, (set = new Set()))
  set.add(f as Listener)
  attach(type)
  return () => set.delete(f as Listener)
}

/** useEvents is on for as long as the component is shown. f must not change. */
export function useEvents<T>(type: string, f: (data: T) => void) {
  useEffect(() => on(type, f), [type, f])
}
