// SPDX-License-Identifier: Apache-2.0

import { time, visible } from '../format'
import { Badge, Code, Panel } from '../ui/basics'
import { type Column, Table } from '../ui/table'
import type { AuditEntry } from '../types'
import type { Page } from './page'

const columns: Column<AuditEntry>[] = [
  { key: 'at', title: 'When', cell: (e) => time(e.at) },
  { key: 'user', title: 'Who', cell: (e) => e.user || <span class="dim">nobody known</span> },
  { key: 'action', title: 'What', main: true, cell: (e) => <span title={`${e.method} ${e.path}`}>{e.action}</span> },
  { key: 'facts', title: 'About', align: 'text', cell: (e) => <Facts facts={e.facts} path={e.path} /> },
  { key: 'peer', title: 'From', cell: (e) => <Code>{e.peer}</Code> },
  {
    key: 'status',
    title: 'Outcome',
    cell: (e) => (
      <Badge tone={e.status < 400 ? 'ok' : 'bad'} title={e.error}>
        {e.status < 400 ? 'done' : `refused, ${e.status}`}
      </Badge>
    ),
  },
]

function Facts({ facts, path }: { facts?: Record<string, unknown>; path: string }) {
  const all = Object.entries(facts ?? {})
  if (all.length === 0) return <Code>{path}</Code>
  return <>{all.map(([k, v]) => `${k} ${typeof v === 'string' ? visible(v) : JSON.stringify(v)}`).join(', ')}</>
}

const Audit = () => (
  <Panel flush>
    <Table
      label="Changes"
      path="/audit"
      search="User, action, path or address"
      columns={columns}
      rowKey={(e) => e.at + e.path + e.peer}
      empty="Nobody has changed anything through this page or its interface yet."
    />
  </Panel>
)

export const audit: Page = {
  id: 'audit',
  title: 'Audit log',
  about: 'What was changed through this page or the API, by whom and from where, newest first.',
  group: 'Manage',
  icon: 'audit',
  admin: true,
  view: Audit,
}
