// SPDX-License-Identifier: Apache-2.0

// Bytes as people read them.

export function fromBase64(text: string): Uint8Array {
  const binary = atob(text)
  const out = new Uint8Array(binary.length)
  for (let i = 0; i < binary.length; i++) out[i] = binary.charCodeAt(i)
  return out
}

export const hex = (n: number, digits = 2): string => n.toString(16).padStart(digits, '0')

const printable = (b: number): string => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : '.')

/**
 * dump writes offset, sixteen bytes and their ASCII to a line, as Wireshark
 * copies them. What lies behind `most` bytes is left out, and said.
 */
export function dump(data: Uint8Array, most = 65536): string {
  const lines: string[] = []
  const end = Math.min(data.length, most)
  for (let at = 0; at < end; at += 16) {
    const row = [...data.subarray(at, Math.min(at + 16, end))]
    const bytes = row.map((b) => hex(b)).join(' ')
    lines.push(`${hex(at, 4)}   ${bytes.padEnd(47)}   ${row.map(printable).join('')}`)
  }
  if (end < data.length) lines.push(`… ${data.length - end} more bytes`)
  return lines.join('\n')
}
