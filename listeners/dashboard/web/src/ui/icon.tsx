// SPDX-License-Identifier: Apache-2.0

// The page's own icons: strokes on a grid of 20, drawn in the text's colour.
const shapes = {
  overview: 'M3 11h4l2-6 3 10 2-4h3',
  clients: 'M7 9a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM2.5 16c0-3 2-4.5 4.5-4.5s4.5 1.5 4.5 4.5M13 4.3a2.5 2.5 0 0 1 0 4.6M14 11.7c2.2.4 3.5 1.9 3.5 4.3',
  sessions: 'M3 5h14v4H3zM3 12h14v4H3zM6 7h.01M6 14h.01',
  topics: 'M7 3 5 17M15 3l-2 14M3.5 7.5h14M2.5 12.5h14',
  routes: 'M5 5.5a1.5 1.5 0 1 0 0-.01M15 14.5a1.5 1.5 0 1 0 0-.01M6.5 5.5H11a3 3 0 0 1 0 6H9a1.5 1.5 0 0 0 0 3h4.5',
  subscriptions: 'M4 10a6 6 0 0 1 12 0v3l1.5 2h-15L4 13zM8.5 17.5h3',
  retained: 'M4 4h12v13l-6-3.5L4 17z',
  letter: 'M3 5h14v10H3zM3 5l7 6 7-6',
  websocket: 'M3 7h11M11 4l3 3-3 3M17 13H6M9 10l-3 3 3 3',
  actors: 'M8 3h4v4H8zM2.5 13h4v4h-4zM13.5 13h4v4h-4zM10 7v3M4.5 13v-3h11v3',
  crash: 'M11 2 4 11.5h5L8 18l8-10h-5z',
  trace: 'M3 4h6M3 8h9M6 12h8M9 16h8',
  listeners: 'M10 11.5a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3ZM6.5 13.5a5 5 0 0 1 0-7M13.5 6.5a5 5 0 0 1 0 7M4 16A8.5 8.5 0 0 1 4 4M16 4a8.5 8.5 0 0 1 0 12',
  alarms: 'M10 3 2.5 16.5h15zM10 8v4M10 14.3v.01',
  users: 'M10 10a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM4 17c0-3.5 2.5-5 6-5s6 1.5 6 5',
  config: 'M3 6h8M15 6h2M3 14h2M9 14h8M13 8a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM7 16a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z',
  http: 'M7 5 2.5 10 7 15M13 5l4.5 5-4.5 5M11.5 4l-3 12',
  bans: 'M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14ZM5 5l10 10',
  audit: 'M5 2.5h7l3 3V17.5H5zM7.5 9h5M7.5 12h5M7.5 15h3',
  menu: 'M3 5h14M3 10h14M3 15h14',
  close: 'm5 5 10 10M15 5 5 15',
  search: 'M9 14A5 5 0 1 0 9 4a5 5 0 0 0 0 10ZM13 13l4 4',
  sun: 'M10 13a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM10 2v2M10 16v2M2 10h2M16 10h2M4.3 4.3l1.4 1.4M14.3 14.3l1.4 1.4M4.3 15.7l1.4-1.4M14.3 5.7l1.4-1.4',
  moon: 'M16.5 11.5A7 7 0 0 1 8.5 3.5a7 7 0 1 0 8 8Z',
  auto: 'M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14ZM10 3v14M12 5.5v9M14 7v6',
  up: 'm5 12 5-5 5 5',
  down: 'm5 8 5 5 5-5',
  left: 'm12 5-5 5 5 5',
  right: 'm8 5 5 5-5 5',
  reload: 'M16 10a6 6 0 1 1-2-4.5M16 3v3.5h-3.5',
  plus: 'M10 4v12M4 10h12',
  trash: 'M4 6h12M8 6V4h4v2M5.5 6l.7 11h7.6l.7-11M8.5 9v5M11.5 9v5',
  logout: 'M8 4H4v12h4M12 6.5 15.5 10 12 13.5M15.5 10H8',
  key: 'M7 13a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM10.5 9.5H18M15 9.5V13',
  check: 'm4 10.5 4 4 8-9',
  copy: 'M7 7h9v10H7zM13 7V3H4v10h3',
  play: 'M6 4l10 6-10 6z',
  stop: 'M5 5h10v10H5z',
  info: 'M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14ZM10 9v4.5M10 6.5v.01',
  more: 'M5 10h.01M10 10h.01M15 10h.01',
} as const

export type IconName = keyof typeof shapes

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={shapes[name]} />
    </svg>
  )
}
