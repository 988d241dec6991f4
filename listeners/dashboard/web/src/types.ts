// SPDX-License-Identifier: Apache-2.0

// What the broker answers: the schemas of /api/v1/openapi.json that pages use.
// Times are RFC 3339, sizes bytes; what is missing is unknown or none.

export interface Node {
  name: string
  version: string
  description: string
  started_at: string
  uptime_seconds: number
  now: string
  ready: boolean
  go_version: string
  os: string
  arch: string
  pid: number
  cpus: number
  goroutines: number
  heap_bytes: number
  memory_bytes: number
  memory_limit_bytes?: number
  gc_count: number
  max_files?: number
  data_dir: string
  store: string
  chaos: boolean
  loops: { index: number; connections: number; turns: number }[]
}

export interface Listener {
  name: string
  key: string
  transport: string
  address: string
  running: boolean
  loopback: boolean
  allow_anonymous: boolean
  connections: number
  max_connections: number
  max_connect_rate: number
  accepted: number
  turned_away_full: number
  turned_away_denied: number
  certificate_not_after?: string
  certificate_expiring?: boolean
}

export interface Gauge {
  now: number
  max: number
}

export interface Rates {
  received_bytes: number
  sent_bytes: number
  received_packets: number
  sent_packets: number
  received_messages: number
  sent_messages: number
  dropped_messages: number
  connects: number
}

export interface Stats {
  at: string
  connections: Gauge
  clients: Gauge
  sessions: Gauge
  subscriptions: Gauge
  routes: Gauge
  retained: Gauge
  queued_bytes: Gauge
  retained_bytes: Gauge
  heap_bytes: Gauge
  goroutines: Gauge
  rates: Rates
}

export interface Metrics {
  received_bytes: number
  sent_bytes: number
  received_packets: Record<string, number>
  sent_packets: Record<string, number>
  received_messages: Record<string, number>
  sent_messages: Record<string, number>
  dropped: Record<string, number>
  closed: Record<string, number>
  faults: Record<string, number>
  refused: Record<string, number>
  accepted_connections: number
}

export interface Client {
  client_id: string
  username?: string
  peer?: string
  listener: string
  transport: string
  protocol: string
  clean_start: boolean
  keep_alive_seconds: number
  session_expiry_seconds: number
  /** durability: what acknowledgements wait for, "synced" or "memory". */
  durability: string
  connected_at: string
  connection: string
  loop: number
  last_read_at?: string
  received_bytes?: number
  sent_bytes?: number
  received_packets?: number
  sent_packets?: number
  received_messages?: number
  sent_messages?: number
  out_buffer_bytes?: number
  paused?: boolean
  subscriptions?: number
  inflight?: number
  max_inflight?: number
  queued?: number
  queued_bytes?: number
  awaiting_rel?: number
  congested?: boolean
  parser_stage?: string
  parser_buffered_bytes?: number
  parser_wants_bytes?: number
}

export interface ClientDetail extends Client {
  session?: Session
  subscription_list: Subscription[]
  inflight_list: Flight[]
  actors: Actor[]
}

export interface Flight {
  packet_id: number
  topic: string
  qos: number
  payload_bytes: number
  released: boolean
  published_at: string
}

export interface Will {
  topic: string
  qos: number
  retain: boolean
  payload_bytes: number
  delay_seconds: number
}

export interface Session {
  client_id: string
  connected: boolean
  durable: boolean
  username?: string
  protocol: string
  created_at: string
  disconnected_at?: string
  expiry_seconds: number
  subscriptions: number
  inflight: number
  max_inflight: number
  queued: number
  queued_bytes: number
  awaiting_rel: number
  number: number
  epoch: number
  will?: Will
  mailbox: number
}

export interface Subscription {
  client_id: string
  filter: string
  qos: number
  no_local: boolean
  retain_as_published: boolean
  share_group?: string
  subscription_ids?: number[]
  durable: boolean
}

export interface Route {
  filter: string
  node: string
  subscribers: number
  groups?: { name: string; members: number }[]
}

export interface Topic {
  topic: string
  subscribers: number
  retained: boolean
}

export interface Retained {
  topic: string
  qos: number
  payload_bytes: number
  from?: string
  published_at: string
  expires_at?: string
}

export interface RetainedMessage extends Retained {
  payload_base64: string
  payload_text?: string
  content_type?: string
  response_topic?: string
  correlation_data_base64?: string
  user_properties?: { key: string; value: string }[]
}

export interface Branch {
  level: string
  topic: string
  messages: number
  message?: Retained
  leaf: boolean
}

export interface Actor {
  name: string
  kind: string
  /** module of emqttd. */
  module: string
  state: string
  mailbox: number
  restarts: number
  last_reason?: string
  last_message?: string
  last_stack?: string
  last_crash_at?: string
  last_poison?: boolean
  supervisor: boolean
  strategy?: string
  max_restarts?: number
  within_seconds?: number
  used_restarts?: number
  children?: Actor[]
  more_children?: number
}

export interface ConfigKey {
  key: string
  value: string
  origin: string
  reload: boolean
}

export interface Ban {
  kind: string
  value: string
  until?: string
  at: string
  by?: string
  reason?: string
}

export interface User {
  name: string
  role: 'viewer' | 'administrator'
  /** initial: has the password that everybody knows. */
  initial: boolean
  /** configured: from the configuration, cannot be changed here. */
  configured: boolean
  created_at: string
}

export interface APIKey {
  id: string
  name: string
  role: 'viewer' | 'administrator'
  created_at: string
  created_by: string
  expires_at?: string
}

export interface AuditEntry {
  at: string
  user?: string
  role?: string
  via?: string
  peer: string
  action: string
  method: string
  path: string
  status: number
  error?: string
  facts?: Record<string, unknown>
}

export interface ActorKind {
  kind: string
  module: string
  alive: number
  restarts: number
  crashes: number
  poisoned: number
  dropped: number
}

export interface ChaosState {
  enabled: boolean
  faults: ChaosFault[]
  /** hits, newest first. */
  hits: ChaosHit[]
  running?: number
}

export interface ChaosFault {
  id: number
  fault: string
  seen: number
  hits: number
  blind: number
  until?: string
}

export interface ChaosHit {
  at: string
  fault_id: number
  do: string
  actor: string
  kind: string
  message: string
  phase: string
  client_id?: string
}

export interface ChaosExperiment {
  name: string
  title: string
  emqttd: string
  ours: string
  faults: string[]
  stops: string[]
  why?: string
}

export interface ChaosRun {
  id: number
  experiment: string
  title: string
  state: 'running' | 'passed' | 'failed' | 'void' | 'stopped'
  started_at: string
  elapsed_seconds: number
  step: number
  steps: number
  seed: number
  events: number
  published_messages: number
  received_messages: number
  connections: number
  violations?: { clause: string; text: string }[]
  trace?: string[]
  error?: string
}

export interface Trace {
  id: number
  rule: { by: string; value: string }
  started: string
  until: string
  running: boolean
  events: number
  file?: string
  error?: string
}

export interface TraceEvent {
  seq: number
  at: string
  actor: string
  kind: string
  step: string
  reason?: string
  again?: boolean
  client_id?: string
  from?: string
  peer?: string
  packet?: string
  packet_id?: number
  qos: number
  topic?: string
  bytes?: number
  count?: number
}

export interface Grave {
  client_id: string
  letters: number
  bytes: number
  newest_at: string
}

export interface DeadLetter {
  serial: number
  topic: string
  qos: number
  retain: boolean
  from?: string
  published_at: string
  payload_base64: string | null
  payload_text?: string
  reason: string
  crashed_at: string
}

export interface Alarm {
  id: string
  severity: string
  title: string
  summary: string
  raised_at: string
  cleared_at?: string
}

export interface SlowSubscriber {
  client_id: string
  topic: string
  latency_seconds: number
  at: string
}

export interface TopicMetrics {
  topic: string
  since: string
  received_messages: number[]
  sent_messages: number[]
  dropped_messages: number
}
