// SPDX-License-Identifier: Apache-2.0

// A packet as offset, hex and ASCII beside its fields. Pointing at either, or
// walking through the fields with the keyboard, marks the other.
import { useEffect, useMemo, useState } from 'preact/hooks'
import { visible } from '../../format'
import { hex } from '../../bytes'
import type { Field } from './types'

const most = 4096 // bytes that are drawn

interface Props {
  data: Uint8Array
  fields: Field[]
  /** cuts are the lengths of the frames that carry the bytes. */
  cuts?: number[]
}

export function Bytes({ data, fields, cuts }: Props) {
  const [marked, mark] = useState<number>()
  const owner = useMemo(() => {
    const of = new Int32Array(data.length).fill(-1)
    fields.forEach((f, i) => of.fill(i, f.offset, f.offset + f.length))
    return of
  }, [data, fields])
  const starts = useMemo(() => {
    const at = new Set<number>()
    let end = 0
    for (const n of cuts ?? []) at.add((end += n))
    return at
  }, [cuts])
  return (
    <div class="dissection" onMouseLeave={() => mark(undefined)}>
      <Dump data={data} owner={owner} fields={fields} marked={marked} mark={mark} starts={starts} />
      <Fields data={data} fields={fields} marked={marked} mark={mark} />
    </div>
  )
}

const groups = ['fixed header', 'variable header', 'properties', 'payload', 'will properties', 'not decoded']

const tint = (f: Field | undefined) => (f ? 'g' + groups.indexOf(f.group) : '')

const printable = (b: number): string => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : '·')

const narrow = matchMedia('(max-width: 700px)')

/** useRow is how many bytes make a line: eight on a phone. */
function useRow(): number {
  const [small, set] = useState(narrow.matches)
  useEffect(() => {
    const look = () => set(narrow.matches)
    narrow.addEventListener('change', look)
    return () => narrow.removeEventListener('change', look)
  }, [])
  return small ? 8 : 16
}

interface DumpProps {
  data: Uint8Array
  owner: Int32Array
  fields: Field[]
  marked: number | undefined
  mark: (field: number | undefined) => void
  starts: ReadonlySet<number>
}

function Dump({ data, owner, fields, marked, mark, starts }: DumpProps) {
  const end = Math.min(data.length, most)
  const per = useRow()
  const rows = []
  for (let at = 0; at < end; at += per) {
    const row = [...data.subarray(at, Math.min(at + per, end))]
    const cell = (text: (b: number) => string) =>
      row.map((b, i) => {
        const field = owner[at + i] ?? -1
        const cls = [tint(fields[field]), field === marked && field >= 0 && 'marked', starts.has(at + i) && 'cut'].filter(Boolean).join(' ')
        return (
          <i key={i} class={cls} onMouseEnter={() => mark(field < 0 ? undefined : field)}>
            {text(b)}
          </i>
        )
      })
    rows.push(
      <div class="row" key={at}>
        <span class="offset">{hex(at, 4)}</span>
        <span class="hex" style={{ '--per': per }}>
          {cell((b) => hex(b) + ' ')}
        </span>
        <span class="ascii">{cell(printable)}</span>
      </div>,
    )
  }
  return (
    <div class="dump" role="img" aria-label={`${data.length} bytes`}>
      {rows}
      {end < data.length && <p class="hint">… {data.length - end} more bytes</p>}
    </div>
  )
}

interface FieldsProps {
  data: Uint8Array
  fields: Field[]
  marked: number | undefined
  mark: (field: number | undefined) => void
}

function Fields({ data, fields, marked, mark }: FieldsProps) {
  return (
    <ol class="fields" aria-label="Fields">
      {fields.map((f, i) => (
        <li
          key={i}
          tabIndex={0}
          class={[tint(f), marked === i && 'marked'].filter(Boolean).join(' ')}
          onMouseEnter={() => mark(i)}
          onFocus={() => mark(i)}
          onBlur={() => mark(undefined)}
        >
          <span class="place" title="Offset and length">
            {hex(f.offset, 4)}
            <small>+{f.length}</small>
          </span>
          <span class="name">{f.name}</span>
          <span class="value">
            <code>{visible(f.value ?? shown(data.subarray(f.offset, f.offset + f.length), f))}</code>
            {f.note && <small>{f.note}</small>}
          </span>
          {f.bits && <Bits field={f} />}
        </li>
      ))}
    </ol>
  )
}

/** shown is a field without a value of its own: text where it is text. */
function shown(bytes: Uint8Array, f: Field): string {
  if (f.kind === 'data' || f.kind === 'secret') {
    try {
      const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, 512))
      if (!/[\u0000-\u0008\u000b-\u001f\u007f]/.test(text)) return text + (bytes.length > 512 ? ' …' : '')
    } catch {
      // shown as bytes
    }
  }
  const some = [...bytes.subarray(0, 64)].map((b) => hex(b)).join(' ')
  return bytes.length > 64 ? some + ' …' : some
}

function Bits({ field }: { field: Field }) {
  return (
    <span class="bits">
      {field.bits?.map((b) => (
        <span key={b.mask} class={b.value ? 'on' : ''}>
          <code>{pattern(b.mask, b.value)}</code> {b.name}
          {b.note ? ` = ${b.value}, ${b.note}` : b.mask & (b.mask - 1) ? ` = ${b.value}` : b.value ? ' = 1' : ' = 0'}
        </span>
      ))}
    </span>
  )
}

/** pattern writes a bit as Wireshark does: 1... .... */
function pattern(mask: number, value: number): string {
  let shift = 0
  while (!((mask >> shift) & 1)) shift++
  let text = ''
  for (let i = 7; i >= 0; i--) {
    text += (mask >> i) & 1 ? ((value << shift) >> i) & 1 : '.'
    if (i === 4) text += ' '
  }
  return text
}
