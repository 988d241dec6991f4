// SPDX-License-Identifier: Apache-2.0

// The events of a connection as the steps of a story: connecting, the upgrade,
// and then one step for each packet with the frames it came in and the way it
// took through the broker.
import { fromBase64 } from '../../bytes'
import type { Continuation, Event, Frame, Hop, Packet, Request, Response, State } from './types'

export interface FrameSeen {
  seq: number
  at: string
  frame: Frame
  /** broker is what the broker's own ws_loop waits for after this frame. */
  broker?: Continuation
}

export interface HopSeen {
  seq: number
  at: string
  hop: Hop
}

export type Step = { seq: number; at: string } & (
  | { kind: 'state'; state: State }
  | { kind: 'request'; request: Request }
  | { kind: 'response'; response: Response }
  | { kind: 'note'; text: string }
  | { kind: 'control'; frame: FrameSeen }
  | { kind: 'data'; out: boolean; frames: FrameSeen[]; packets: { seq: number; packet: Packet }[]; hops: HopSeen[] }
)

export type DataStep = Extract<Step, { kind: 'data' }>

/** story makes steps of events, which are in order. */
export function story(events: readonly Event[]): Step[] {
  const steps: Step[] = []
  const open: [DataStep | undefined, DataStep | undefined] = [undefined, undefined] // in, out
  let lastOut: DataStep | undefined
  let taken = 0 // MQTT bytes that the broker's ws_loop has read
  for (const e of events) {
    const { seq, at } = e
    if (e.state) steps.push({ seq, at, kind: 'state', state: e.state })
    else if (e.request) steps.push({ seq, at, kind: 'request', request: e.request })
    else if (e.response) steps.push({ seq, at, kind: 'response', response: e.response })
    else if (e.note) steps.push({ seq, at, kind: 'note', text: e.note.text })
    else if (e.frame) {
      const seen: FrameSeen = { seq, at, frame: e.frame }
      if (e.frame.stream < 0) {
        steps.push({ seq, at, kind: 'control', frame: seen })
        continue
      }
      const way = Number(e.frame.out)
      let step = open[way]
      if (!step || step.packets.length > 0) {
        step = { seq, at, kind: 'data', out: e.frame.out, frames: [], packets: [], hops: [] }
        open[way] = step
        steps.push(step)
        if (e.frame.out) lastOut = step
      }
      step.frames.push(seen)
    } else if (e.packet) {
      open[Number(e.packet.out)]?.packets.push({ seq, packet: e.packet })
    } else if (e.hop && lastOut) {
      lastOut.hops.push({ seq, at, hop: e.hop })
      taken += e.hop.bytes ?? 0
      if (e.hop.more) {
        const read = lastOut.frames.filter((f) => f.frame.stream + size(f.frame) <= taken)
        const last = read[read.length - 1]
        if (last) last.broker = e.hop.more
      }
    }
  }
  return steps
}

/** size is a frame's payload in bytes, by its base64. */
const size = (f: Frame): number => (f.payload.length / 4) * 3 - (f.payload.endsWith('==') ? 2 : f.payload.endsWith('=') ? 1 : 0)

/** masked is a frame's payload as on the wire. */
export function masked(f: Frame): Uint8Array {
  const bytes = fromBase64(f.payload)
  if (!f.masked || !f.key) return bytes
  const key = fromBase64(f.key)
  return bytes.map((b, i) => b ^ (key[i & 3] ?? 0))
}

/** waits is a continuation in a few words. */
export const waits = (c: Continuation): string =>
  c.buffered === 0 ? 'between two packets' : `{more, want ${c.want} byte${c.want === 1 ? '' : 's'}: ${c.stage}}`
