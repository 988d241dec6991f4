// SPDX-License-Identifier: Apache-2.0

// The microscope's side of this browser tab: its name, its connections, and the
// stream of what happens on them. The broker keeps all of it, so a reload finds
// everything again.
import { del, get, params, post, sentence } from '../../api'
import { store } from '../../store'
import { toast } from '../../ui/toast'
import type { Connection, Event, Order, Plan } from './types'

const remembered = 'emqttd.microscope'

/** tab is the random name that only this tab knows. */
const tab = (() => {
  const known = sessionStorage.getItem(remembered)
  if (known) return known
  const bytes = crypto.getRandomValues(new Uint8Array(18))
  const name = btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_')
  sessionStorage.setItem(remembered, name)
  return name
})()

const base = '/microscope/connections'
const at = (path = '', more: Record<string, string> = {}) => base + path + params({ tab, ...more })

export const connections = store<Connection[] | undefined>(undefined)
export const events = store<ReadonlyMap<string, Event[]>>(new Map())
/** passed is how many old events of a connection this page no longer shows. */
export const passed = store<ReadonlyMap<string, number>>(new Map())
/** dropped is how many old events the broker no longer has. */
export const dropped = store(0)

let source: EventSource | undefined
let seen = 0
let fresh: Event[] = []
let drawing: ReturnType<typeof setTimeout> | undefined
/** A look at what came is taken soon, or later when there is much. */
const beat = () => (fresh.length > 50 ? 250 : 30) // ms
/** most bounds the events that are kept of one connection: the oldest go. */
const most = 3000

/** follow listens until the result is called. */
export function follow(): () => void {
  seen = 0
  fresh = []
  events.set(new Map())
  passed.set(new Map())
  void list()
  source = new EventSource('/api/v1/microscope/events' + params({ tab }))
  source.addEventListener('microscope', (e: MessageEvent<string>) => {
    const event = JSON.parse(e.data) as Event
    if (event.seq <= seen) return
    seen = event.seq
    fresh.push(event)
    drawing ||= setTimeout(draw, beat())
  })
  source.addEventListener('dropped', (e: MessageEvent<string>) => dropped.set((JSON.parse(e.data) as { events: number }).events))
  return () => {
    clearTimeout(drawing)
    drawing = undefined
    source?.close()
    source = undefined
  }
}

/** draw takes what came since the last look, all at once. */
function draw() {
  drawing = undefined
  const next = new Map(events.get())
  let moved = false
  const come = new Map<string, Event[]>()
  for (const e of fresh) {
    const some = come.get(e.connection)
    if (some) some.push(e)
    else come.set(e.connection, [e])
    moved ||= e.state !== undefined
  }
  for (const [id, some] of come) {
    const all = [...(next.get(id) ?? []), ...some]
    if (all.length > most) passed.set(new Map(passed.get()).set(id, (passed.get().get(id) ?? 0) + all.length - most))
    next.set(id, all.slice(-most))
  }
  fresh = []
  events.set(next)
  if (moved) void list()
}

async function list() {
  try {
    connections.set(await get<Connection[]>(at()))
  } catch (error) {
    if (connections.get() === undefined) connections.set([])
    toast(sentence(error), 'bad')
  }
}

export interface Ask {
  url: string
  insecure?: boolean
  key?: string
  protocol?: string
  version?: string
  headers?: { name: string; value: string }[]
}

export async function open(ask: Ask): Promise<Connection> {
  const c = await post<Connection>(at(), ask)
  await list()
  return c
}

/** watch looks at the connection of a client of the broker. */
export async function watch(client_id: string, reveal: boolean, actors: boolean): Promise<Connection> {
  const c = await post<Connection>('/microscope/watches' + params({ tab }), { client_id, reveal, actors })
  await list()
  return c
}

export const send = (id: string, order: Order) => post(at(`/${id}/send`), order)
export const close = (id: string, abrupt: boolean) => post(at(`/${id}/close`), { abrupt })
export const preview = (order: Order, version: string) => post<Plan>('/microscope/preview' + params({ version }), order)

export async function forget(id: string) {
  await del(at('/' + id))
  await list()
}

/** recording is the address of a connection's file. */
export const recording = (id: string, format: 'text' | 'pcapng' | 'pcapng-mqtt', passwords: boolean) =>
  '/api/v1' + at(`/${id}/recording`, { format, passwords: passwords ? 'true' : '' })

/** everybody is for administrators; each look is audited. */
export const everybody = () => get<Connection[]>('/microscope/all')

/** saveOthers saves somebody's connection. The audit log asks for a header, so a plain link would not do. */
export async function saveOthers(serial: number, format: 'text' | 'pcapng', reveal: boolean) {
  const answer = await fetch(`/api/v1/microscope/all/${serial}/recording` + params({ format, reveal: reveal ? 'true' : '' }), {
    headers: { 'X-Requested-With': 'emqttd' },
    credentials: 'same-origin',
  })
  if (!answer.ok) throw new Error(`The broker answered ${answer.status}.`)
  const link = document.createElement('a')
  link.href = URL.createObjectURL(await answer.blob())
  link.download = `connection-of-others-${serial}.${format === 'text' ? 'txt' : 'pcapng'}`
  link.click()
  URL.revokeObjectURL(link.href)
}

/** opened waits until a connection is upgraded; false when it is not going to be. */
export function opened(id: string): Promise<boolean> {
  return new Promise((done) => {
    const look = () => {
      const phase = (events.get().get(id) ?? []).findLast((e) => e.state)?.state?.phase
      if (phase !== 'open' && phase !== 'closed') return
      stop()
      done(phase === 'open')
    }
    const stop = events.subscribe(look)
    look()
  })
}
