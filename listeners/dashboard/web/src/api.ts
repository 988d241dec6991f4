// SPDX-License-Identifier: Apache-2.0

// The one place that speaks HTTP. Every other module asks for paths below
// /api/v1 and gets JSON or a Problem.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks'
import { store } from './store'

/** Problem is an answer that is no success, in the words of RFC 9457. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    /** until: asked before this moment (ms since 1970), the answer stays the same. */
    readonly until?: number,
  ) {
    super(detail || title)
  }
}

/** unauthorised counts answers 401: the shell then asks to log in again. */
export const unauthorised = store(0)

const base = '/api/v1'
const patience = 15_000 // ms until a request is given up

/**
 * request sends one request and gives what the answer holds: JSON as a value,
 * other types as text, nothing as undefined. Throws Problem.
 */
export async function request<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  // What a form or a link of another page cannot send.
  const headers: Record<string, string> = { Accept: 'application/json', 'X-Requested-With': 'emqttd' }
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  const late = AbortSignal.timeout(patience)
  let answer: Response
  try {
    answer = await fetch(base + path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: 'same-origin',
      cache: 'no-store',
      signal: signal ? AbortSignal.any([signal, late]) : late,
    })
  } catch (error) {
    if (signal?.aborted) throw error
    throw new Problem(0, 'No answer', late.aborted ? 'The broker did not answer in time.' : 'The broker cannot be reached.')
  }
  return read<T>(answer, path)
}

async function read<T>(answer: Response, path: string): Promise<T> {
  const text = await answer.text()
  const json = /\bjson\b/.test(answer.headers.get('Content-Type') ?? '')
  let value: unknown = text === '' ? undefined : text
  if (json && text !== '') {
    try {
      value = JSON.parse(text)
    } catch {
      throw new Problem(answer.status, 'Unreadable answer', 'The broker’s answer is no JSON.')
    }
  }
  if (answer.ok) return value as T
  const said = (json ? value : {}) as { title?: string; detail?: string }
  if (answer.status === 401 && !asksPassword.includes(path)) unauthorised.set(unauthorised.get() + 1)
  throw new Problem(answer.status, said?.title ?? answer.statusText, said?.detail ?? '', until(answer))
}

/** asksPassword are the paths whose 401 may mean a password in the body, not the session. */
const asksPassword = ['/login', '/password']

const pause = 5 // seconds, for an answer 429 that does not say how long

/** until is when Retry-After allows the next request [RFC 9110 10.2.3]: of the broker, or of a proxy before it. */
function until(answer: Response): number | undefined {
  if (answer.status !== 429 && answer.status !== 503) return undefined
  const text = answer.headers.get('Retry-After')
  if (text === null) return answer.status === 429 ? Date.now() + pause * 1000 : undefined
  const at = /^\d+$/.test(text) ? Date.now() + Number(text) * 1000 : Date.parse(text)
  return Number.isNaN(at) ? undefined : at
}

export const get = <T>(path: string, signal?: AbortSignal) => request<T>('GET', path, undefined, signal)
export const post = <T = void>(path: string, body?: unknown) => request<T>('POST', path, body)
export const put = <T = void>(path: string, body?: unknown) => request<T>('PUT', path, body)
export const patch = <T = void>(path: string, body?: unknown) => request<T>('PATCH', path, body)
export const del = <T = void>(path: string, body?: unknown) => request<T>('DELETE', path, body)

/** segment escapes one part of a path, such as a client identifier. */
export const segment = encodeURIComponent

/** params writes a query, without what is empty. */
export function params(values: Record<string, string | number | boolean | undefined>): string {
  const q = new URLSearchParams()
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined && value !== '') q.set(key, String(value))
  }
  const text = q.toString()
  return text && '?' + text
}

/** sentence is what a person is told about an error. */
export function sentence(error: unknown): string {
  if (error instanceof Problem) {
    if (error.status === 429 && !error.detail) return 'There are too many requests from here.'
    return error.detail || error.title || `The broker answered ${error.status}.`
  }
  return error instanceof Error ? error.message : String(error)
}

const soonest = 1000 // ms between two requests for the same

export interface Resource<T> {
  data?: T
  error?: unknown
  /** loading is true until the first answer, not while one is renewed. */
  loading: boolean
  reload(): void
}

/**
 * useResource keeps the answer of one path: asked for now, again every `every`
 * milliseconds while the page is visible, and on reload. What was there stays
 * while a new answer is under way, and belongs to one path only. No path, no
 * request. An answer that asks the page to wait is asked for again when the wait
 * is over.
 */
export function useResource<T>(path: string | undefined, every = 0): Resource<T> {
  const [state, set] = useState<{ path?: string; data?: T; error?: unknown }>({})
  const again = useRef<() => void>(() => {})
  useEffect(() => {
    if (path === undefined) return
    const ctl = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    let busy = false
    let wait = 0 // until when
    const ask = async () => {
      clearTimeout(timer)
      if (busy) return
      busy = true
      wait = 0
      try {
        const data = await get<T>(path, ctl.signal)
        if (!ctl.signal.aborted) set({ path, data })
      } catch (error) {
        if (error instanceof Problem) wait = error.until ?? 0
        if (!ctl.signal.aborted) set((was) => ({ path, data: was.path === path ? was.data : undefined, error }))
      }
      busy = false
      later()
    }
    const later = () => {
      clearTimeout(timer)
      if (ctl.signal.aborted || document.hidden || (every === 0 && wait === 0)) return
      timer = setTimeout(ask, Math.max(every, wait - Date.now(), soonest))
    }
    const shown = () => {
      if (document.hidden || busy) return
      if (wait > Date.now()) later()
      else if (every > 0) void ask()
    }
    document.addEventListener('visibilitychange', shown)
    again.current = ask
    void ask()
    return () => {
      ctl.abort()
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', shown)
    }
  }, [path, every])
  const reload = useCallback(() => again.current(), [])
  const own = state.path === path
  return { data: own ? state.data : undefined, error: own ? state.error : undefined, loading: !own, reload }
}
