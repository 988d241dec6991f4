// SPDX-License-Identifier: Apache-2.0

import { useResource } from '../api'
import { Facts, Failure, Loading, Panel } from '../ui/basics'
import type { Page } from './page'

function Overview() {
  const node = useResource<Record<string, string | number>>('/node', 5000)
  if (node.error !== undefined && !node.data) return <Failure error={node.error} retry={node.reload} />
  if (!node.data) return <Loading />
  return (
    <Panel title="Node">
      <Facts rows={Object.entries(node.data).map(([name, value]) => [name, String(value)])} />
    </Panel>
  )
}

export const overview: Page = { id: 'overview', title: 'Overview', group: 'Monitor', icon: 'overview', view: Overview }
