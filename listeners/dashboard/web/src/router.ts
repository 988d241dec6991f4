// SPDX-License-Identifier: Apache-2.0

// The address after the number sign says which page is open and what it shows:
// #/clients/ID?q=abc. So the broker serves one document, reload keeps the place,
// and emqttd's #/websocket leads where it always did.
import { store, useStore } from './store'

export interface Route {
  /** page is the first segment: "clients" of #/clients/ID. */
  page: string
  /** rest are the decoded segments after it. */
  rest: string[]
  query: URLSearchParams
}

const fallback = 'overview'

export function parse(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#?\/?/, '').split(/\?(.*)/s)
  const [page, ...rest] = path.split('/').map(decode)
  return { page: page || fallback, rest, query: new URLSearchParams(query) }
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment // a lone percent sign: taken as it stands
  }
}

/** link is the address of a page, its segments escaped. */
export function link(page: string, rest: string[] = [], query?: Record<string, string>): string {
  const q = query ? new URLSearchParams(query).toString() : ''
  return '#/' + [page, ...rest].map(encodeURIComponent).join('/') + (q && '?' + q)
}

export const route = store(parse(location.hash))
addEventListener('hashchange', () => route.set(parse(location.hash)))

export const useRoute = (): Route => useStore(route)

export function go(to: string) {
  location.hash = to
}

/**
 * setQuery changes parameters of the present address without a new step in the
 * history; an empty value takes one away.
 */
export function setQuery(changes: Record<string, string>) {
  const { page, rest, query } = route.get()
  const next = new URLSearchParams(query)
  for (const [key, value] of Object.entries(changes)) value === '' ? next.delete(key) : next.set(key, value)
  history.replaceState(null, '', link(page, rest, Object.fromEntries(next)))
  route.set(parse(location.hash))
}
