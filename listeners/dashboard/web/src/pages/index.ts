// SPDX-License-Identifier: Apache-2.0

// The menu, top to bottom: emqttd's pages in emqttd's order, ours among them.
// A new page is one line here.
import { overview } from './overview'
import type { Page } from './page'

export type { Page }

export const pages: Page[] = [overview]
