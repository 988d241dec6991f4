// SPDX-License-Identifier: Apache-2.0

// The menu, top to bottom: emqttd's pages in emqttd's order, ours among them.
// A new page is one line here.
import { actors } from './actors'
import { alarms } from './alarms'
import { audit } from './audit'
import { bans } from './bans'
import { clients } from './clients'
import { config } from './config'
import { crashlab } from './crashlab'
import { deadLetters } from './deadletters'
import { httpapi } from './httpapi'
import { listeners, routes, sessions, subscriptions, topics } from './lists'
import { overview } from './overview'
import type { Page } from './page'
import { retained } from './retained'
import { trace } from './trace'
import { users } from './users'
import { websocket } from './websocket'

export type { Page }

export const pages: Page[] = [
  overview,
  alarms,
  clients,
  sessions,
  topics,
  routes,
  subscriptions,
  retained,
  deadLetters,
  websocket,
  actors,
  crashlab,
  trace,
  listeners,
  bans,
  users,
  audit,
  config,
  httpapi,
]
