// SPDX-License-Identifier: Apache-2.0

// What /api/v1/microscope says. Bytes are base64.

export interface Door {
  name: string
  tls: boolean
  path: string
  address: string
  loopback: boolean
}

export interface About {
  listeners: Door[]
  limits: { other_hosts: boolean; max_connections: number; max_packet: number }
}

export type Phase = 'dialing' | 'connected' | 'open' | 'closed'

export interface Connection {
  id: string
  serial: number
  owner: string
  url: string
  own: boolean
  phase: Phase
  reason?: string
  opened_at: string
  answers: boolean
  version?: string
  /** client_id: the connection is a client's own, and watched. */
  client_id?: string
  revealed?: boolean
}

export interface Header {
  name: string
  value: string
  note?: string
}

export interface State {
  phase: Phase
  url: string
  own: boolean
  local?: string
  remote?: string
  tls?: string
  reason?: string
}

export interface Request {
  line: string
  headers: Header[]
}

export interface Accept {
  key: string
  guid: string
  joined: string
  sha1: string
  base64: string
  got: string
  equal: boolean
}

export interface Response {
  raw: string
  line: string
  headers: Header[]
  accept?: Accept
  ok: boolean
  verdict: string
}

export interface Continuation {
  stage: string
  buffered: number
  want: number
}

export interface Frame {
  out: boolean
  offset: number
  header: string
  fin: boolean
  rsv: number
  opcode: number
  name: string
  masked: boolean
  /** bare: no frame, the bytes of one read or write without WebSocket. */
  bare?: boolean
  key?: string
  payload: string
  stream: number
  more?: Continuation
  fault?: string
}

export interface Bit {
  mask: number
  name: string
  value: number
  note?: string
}

export interface Field {
  group: string
  name: string
  offset: number
  length: number
  value?: string
  note?: string
  bits?: Bit[]
  kind: 'number' | 'flags' | 'text' | 'binary' | 'data' | 'secret' | 'faulty'
}

export interface Packet {
  out: boolean
  type: string
  title: string
  version?: string
  stream: number
  bytes: string
  fields: Field[]
  fault?: string
  frames: number[]
}

export interface Hop {
  actor: string
  kind: string
  module?: string
  message: string
  detail?: string
  bytes?: number
  more?: Continuation
}

export interface Event {
  seq: number
  connection: string
  at: string
  state?: State
  request?: Request
  response?: Response
  frame?: Frame
  packet?: Packet
  hop?: Hop
  note?: { text: string }
}

export interface Plan {
  bytes: string
  pieces: number[]
  fields: Field[]
  title: string
  fault?: string
}

/** Cut says in which pieces bytes go. */
export interface Cut {
  how: 'whole' | 'fields' | 'count' | 'size'
  n: number
  fragments: boolean
  pause_ms: number
}

/** Order is something to send. */
export interface Order {
  packet?: Record<string, unknown>
  bytes?: string
  mask?: string
  cut: Cut
}
