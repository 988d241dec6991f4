// SPDX-License-Identifier: Apache-2.0

import type { ComponentType } from 'preact'
import type { IconName } from '../ui/icon'

/** Page is one entry of the menu. */
export interface Page {
  /** id is its address: clients for #/clients and what is below it. */
  id: string
  title: string
  /** about says in a sentence what is on the page, for who sees it for the first time. */
  about?: string
  group: 'Monitor' | 'Messages' | 'Tools' | 'Manage'
  icon: IconName
  /** admin: a viewer has no use for it. */
  admin?: boolean
  /** view gets the segments of the address after the page's. */
  view: ComponentType<{ rest: string[] }>
}
