// SPDX-License-Identifier: Apache-2.0

// A table whose rows, order and search are the broker's work: the page asks for
// one page of it at a time, so that 100,000 connections cost it what 50 do.
// What is shown stands in the address and survives a reload. On a phone each
// row becomes a card.
import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { params, useResource } from '../api'
import { count } from '../format'
import { setQuery, useRoute } from '../router'
import { Button, Empty, Failure, Loading } from './basics'
import { Icon } from './icon'

export interface Column<T> {
  key: string
  title: string
  /** sort is the name by which the broker orders; none: the column cannot. */
  sort?: string
  /** align right for figures; text for what may be long and is to wrap. */
  align?: 'right' | 'text'
  /** main heads the card on a phone. */
  main?: boolean
  cell: (row: T) => ComponentChildren
}

export interface PageOf<T> {
  items: T[]
  /** total counts all that match, not only this page. */
  total: number
  /** truncated: the broker stopped looking at its bound, there may be more. */
  truncated?: boolean
}

interface TableProps<T> {
  label: string
  path: string
  columns: Column<T>[]
  rowKey: (row: T) => string
  /** filter are further parameters of the request. */
  filter?: Record<string, string | undefined>
  /** search is what the search field asks for; none: no field. */
  search?: string
  /** tools stand beside the search field. */
  tools?: ComponentChildren
  actions?: (row: T) => ComponentChildren
  empty: ComponentChildren
  /** every: milliseconds between renewals. */
  every?: number
  /** version asks anew when it changes: something was just done. */
  version?: number
  sort?: string
  /** onRows is told what is shown. */
  onRows?: (rows: T[]) => void
}

const sizes = ['25', '50', '100', '200']

export function Table<T>(props: TableProps<T>) {
  const { query } = useRoute()
  const q = query.get('q') ?? ''
  const page = Math.max(1, Number(query.get('page')) || 1)
  const size = query.get('size') ?? '50'
  const order = query.get('sort') ?? props.sort ?? ''
  const path = props.path + params({ ...props.filter, search: q, page, limit: size, sort: order })
  const { data, error, loading, reload } = useResource<PageOf<T>>(path, props.every ?? 5000)
  const [kept, keep] = useState<PageOf<T>>()
  useEffect(() => {
    if (!data) return
    keep(data)
    props.onRows?.(data.items)
  }, [data])
  useEffect(() => {
    if (props.version) reload()
  }, [props.version])
  const shown = data ?? kept
  const pages = Math.max(1, Math.ceil((shown?.total ?? 0) / Number(size)))
  return (
    <div class="table-box" aria-busy={loading}>
      {(props.search || props.tools) && (
        <div class="toolbar">
          {props.search && <Search label={props.search} value={q} onValue={(v) => setQuery({ q: v, page: '' })} />}
          {props.tools}
        </div>
      )}
      {error !== undefined && <Failure error={error} retry={reload} />}
      {!shown && error === undefined && <Loading />}
      {shown && shown.items.length === 0 && (
        <Empty>{q ? `Nothing here matches “${q.length > 60 ? q.slice(0, 60) + '…' : q}”.` : page > 1 ? 'This page is past the end.' : props.empty}</Empty>
      )}
      {shown && shown.items.length > 0 && (
        <Rows {...props} rows={shown.items} order={order} onOrder={(sort) => setQuery({ sort, page: '' })} />
      )}
      {shown && (shown.total > 25 || page > 1) && (
        <Pager page={page} pages={pages} total={shown.total} size={size} />
      )}
      {shown?.truncated && (
        <p class="bounded" role="status">
          The broker stopped looking at its bound (<code>dashboard.max_scan</code>): there may be more, and others may come first.
        </p>
      )}
    </div>
  )
}

interface RowsProps<T> {
  label: string
  columns: Column<T>[]
  rowKey: (row: T) => string
  rows: T[]
  actions?: (row: T) => ComponentChildren
  order?: string
  onOrder?: (order: string) => void
  /** compact: few and narrow columns, a table on a phone too. */
  compact?: boolean
}

/** Rows is the table itself; alone it shows a list that is there already. */
export function Rows<T>({ label, columns, rowKey, rows, actions, order = '', onOrder, compact }: RowsProps<T>) {
  return (
    <div class="scroll">
      <table role="table" class={(compact ? 'compact' : 'cards') + (columns.length <= 5 ? ' few' : columns.length > 8 ? ' many' : '')} aria-label={label}>
        <thead role="rowgroup">
          <tr role="row">
            {columns.map((c) => (
              <Head key={c.key} column={c} order={order} onOrder={onOrder} />
            ))}
            {actions && (
              <th role="columnheader" class="do">
                <span class="unseen">Actions</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((row) => (
            <tr role="row" key={rowKey(row)}>
              {columns.map((c) => (
                <td key={c.key} role="cell" data-label={c.title} class={[c.align, c.main && 'main'].filter(Boolean).join(' ')}>
                  {c.cell(row)}
                </td>
              ))}
              {actions && (
                <td role="cell" class="do">
                  {actions(row)}
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Head<T>({ column: c, order, onOrder }: { column: Column<T>; order: string; onOrder?: (order: string) => void }) {
  const by = order.replace(/^-/, '')
  const down = order.startsWith('-')
  const here = c.sort !== undefined && by === c.sort
  return (
    <th role="columnheader" class={c.align} aria-sort={here ? (down ? 'descending' : 'ascending') : undefined}>
      {c.sort && onOrder ? (
        <button type="button" class="sort" onClick={() => onOrder(here && !down ? '-' + c.sort : c.sort!)}>
          {c.title}
          <span class={'arrow' + (here ? ' here' : '')}>
            <Icon name={here && down ? 'down' : 'up'} size={12} />
          </span>
        </button>
      ) : (
        c.title
      )}
    </th>
  )
}

/** Search waits for a pause in the typing. */
export function Search({ label, value, onValue }: { label: string; value: string; onValue: (v: string) => void }) {
  const [text, setText] = useState(value)
  useEffect(() => setText(value), [value])
  useEffect(() => {
    if (text === value) return
    const timer = setTimeout(() => onValue(text), 250)
    return () => clearTimeout(timer)
  }, [text, value])
  return (
    <div class="search">
      <Icon name="search" size={16} />
      <input
        type="search"
        aria-label={label}
        placeholder={label}
        autocomplete="off"
        spellcheck={false}
        value={text}
        onInput={(e) => setText(e.currentTarget.value)}
      />
    </div>
  )
}

function Pager({ page, pages, total, size }: { page: number; pages: number; total: number; size: string }) {
  const to = (n: number) => setQuery({ page: n === 1 ? '' : String(n) })
  const first = (page - 1) * Number(size) + 1
  const last = Math.min(page * Number(size), total)
  return (
    <nav class="pager" aria-label="Pages of the table">
      <span class="where">{total < first ? count(total) : `${count(first)}–${count(last)} of ${count(total)}`}</span>
      <label>
        Rows{' '}
        <select value={size} onChange={(e) => setQuery({ size: e.currentTarget.value, page: '' })}>
          {sizes.map((s) => (
            <option key={s}>{s}</option>
          ))}
        </select>
      </label>
      <span class="turn">
        <Button small icon="left" label="Previous page" disabled={page <= 1} onClick={() => to(page - 1)} />
        <PageNumber page={page} pages={pages} to={to} />
        <Button small icon="right" label="Next page" disabled={page >= pages} onClick={() => to(page + 1)} />
      </span>
    </nav>
  )
}

/** PageNumber is the number of the page, where another one can be written. */
function PageNumber({ page, pages, to }: { page: number; pages: number; to: (n: number) => void }) {
  const [text, setText] = useState(String(page))
  useEffect(() => setText(String(page)), [page])
  const go = () => {
    const n = Math.min(Math.max(1, Math.floor(Number(text)) || page), pages)
    setText(String(n))
    if (n !== page) to(n)
  }
  return (
    <span class="number">
      <input
        type="text"
        inputMode="numeric"
        aria-label="Page"
        autocomplete="off"
        size={Math.max(2, String(pages).length)}
        value={text}
        onInput={(e) => setText(e.currentTarget.value)}
        onChange={go}
        onKeyDown={(e) => e.key === 'Enter' && go()}
      />
      / {count(pages)}
    </span>
  )
}
