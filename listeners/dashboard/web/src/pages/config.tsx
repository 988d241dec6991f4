// SPDX-License-Identifier: Apache-2.0

import { post, sentence, useResource } from '../api'
import { setQuery, useRoute } from '../router'
import { admin } from '../session'
import type { ConfigKey } from '../types'
import { Badge, Button, Check, Code, Empty, Failure, Loading, Panel } from '../ui/basics'
import { Rows, Search } from '../ui/table'
import { toast } from '../ui/toast'
import { plural } from '../format'
import type { Page } from './page'

/** Configuration is small and fixed: the page itself searches in it. */
function Configuration() {
  const { data, error, reload } = useResource<ConfigKey[]>('/config')
  const { query } = useRoute()
  const q = query.get('q') ?? ''
  const set = query.get('set') === '1'
  if (!data) return error === undefined ? <Loading /> : <Failure error={error} retry={reload} />
  const word = q.toLowerCase()
  const shown = data.filter((k) => (!set || k.origin !== 'default') && (k.key + ' ' + k.value).toLowerCase().includes(word))
  return (
    <Panel flush>
      <div class="toolbar">
        <Search label="Key or value" value={q} onValue={(v) => setQuery({ q: v })} />
        {admin() && (
          <Button icon="reload" onClick={() => readAnew(reload)}>
            Read it anew
          </Button>
        )}
        <Check label="Only what differs from the default" checked={set} onValue={(on) => setQuery({ set: on ? '1' : '' })} />
        <span class="dim">{plural(shown.length, 'key')}</span>
      </div>
      {shown.length === 0 ? (
        <Empty>
          {set && !q
            ? 'Everything is as it comes: no key was set by a file, the environment or a flag.'
            : `No key or value contains “${q}”.`}
        </Empty>
      ) : (
        <Rows
          label="Configuration"
          rowKey={(k) => k.key}
          rows={shown}
          columns={[
            { key: 'key', title: 'Key', main: true, align: 'text', cell: (k) => <Code>{k.key}</Code> },
            { key: 'value', title: 'Value in force', align: 'text', cell: (k) => <Value text={k.value} /> },
            { key: 'origin', title: 'From', cell: (k) => <Badge tone={k.origin === 'default' ? 'plain' : 'info'}>{k.origin}</Badge> },
            {
              key: 'reload',
              title: 'Changes by',
              cell: (k) => (k.reload ? 'reload (SIGHUP)' : <span class="dim">restart</span>),
            },
          ]}
        />
      )}
    </Panel>
  )
}

/** readAnew is what SIGHUP does; what needs a restart stays as it was, and is named. */
async function readAnew(done: () => void) {
  try {
    const { need_restart: keys } = await post<{ need_restart: string[] }>('/config/reload')
    if (keys.length === 0) toast('Configuration, certificates, passwords and rules were read anew.')
    else toast(`Read anew, but for what needs a restart: ${keys.join(', ')}.`, 'warn')
  } catch (error) {
    toast(sentence(error), 'bad')
  }
  done()
}

const Value = ({ text }: { text: string }) => {
  const value = text.trim()
  return value === '' || value === '""' ? <span class="dim">empty</span> : <Code>{value}</Code>
}

export const config: Page = {
  id: 'configuration',
  title: 'Configuration',
  about: 'Every key, the value in force and where it came from: the file, the environment (EMQTTD_…), --set or the default.',
  group: 'Manage',
  icon: 'config',
  view: Configuration,
}
