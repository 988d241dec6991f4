// SPDX-License-Identifier: Apache-2.0

// How figures are written.
const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const tenth = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })

/** count writes 1234567 as 1,234,567. */
export const count = (n: number | undefined): string => (n === undefined ? '–' : whole.format(n))

/** rate writes small figures with one digit after the point. */
export const rate = (n: number | undefined): string =>
  n === undefined ? '–' : n !== 0 && Math.abs(n) < 10 ? tenth.format(n) : whole.format(n)

/** bytes writes 1536 as 1.5 KiB. */
export function bytes(n: number | undefined): string {
  if (n === undefined) return '–'
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let i = 0
  while (Math.abs(n) >= 1024 && i < units.length - 1) {
    n /= 1024
    i++
  }
  return (i === 0 ? whole : tenth).format(n) + ' ' + units[i]
}

/** duration writes seconds as the two largest units: 3 d 4 h, 12.5 s, 80 ms. */
export function duration(seconds: number | undefined): string {
  if (seconds === undefined || !Number.isFinite(seconds)) return '–'
  if (seconds < 0) return '−' + duration(-seconds)
  if (seconds < 0.001) return seconds === 0 ? '0 s' : tenth.format(seconds * 1e6) + ' µs'
  if (seconds < 1) return tenth.format(seconds * 1e3) + ' ms'
  if (seconds < 60) return tenth.format(seconds) + ' s'
  const s = Math.floor(seconds)
  const [d, h, m] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60]
  if (d > 0) return pair(d, 'd', h, 'h')
  if (h > 0) return pair(h, 'h', m, 'min')
  return pair(m, 'min', s % 60, 's')
}

const pair = (a: number, of: string, b: number, and: string) => `${a} ${of}` + (b > 0 ? ` ${b} ${and}` : '')

/** expiry writes how long a session outlives its connection, as MQTT counts it. */
export const expiry = (seconds: number): string =>
  seconds === 0 ? 'with the connection' : seconds === 0xffffffff ? 'never' : `after ${duration(seconds)}`

const two = (n: number) => String(n).padStart(2, '0')

/** moment parses what the broker writes: RFC 3339 or seconds since 1970. */
export function moment(at: string | number | undefined | null): Date | undefined {
  if (at === undefined || at === null || at === '' || at === 0) return undefined
  const d = new Date(typeof at === 'number' ? at * 1000 : at)
  return Number.isNaN(d.getTime()) || d.getTime() <= 0 ? undefined : d
}

/** time writes a moment in the viewer's zone, sortable: 2026-11-22 02:28:59. */
export function time(at: string | number | undefined | null): string {
  const d = moment(at)
  if (!d) return '–'
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock(d)}`
}

export const clock = (d: Date): string => `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`

/** ago writes how long a moment lies back. */
export function ago(at: string | number | undefined | null): string {
  const d = moment(at)
  if (!d) return '–'
  const s = Math.round((Date.now() - d.getTime()) / 1000)
  return s < 2 ? 'just now' : duration(s) + ' ago'
}

/** age is ago in its largest unit alone, for the columns of tables. */
export function age(at: string | number | undefined | null): string {
  const d = moment(at)
  if (!d) return '–'
  const s = Math.max(0, Math.round((Date.now() - d.getTime()) / 1000))
  if (s < 60) return `${s} s`
  if (s < 3600) return `${Math.floor(s / 60)} min`
  return s < 86400 ? `${Math.floor(s / 3600)} h` : `${count(Math.floor(s / 86400))} d`
}

/** plural writes "1 client", "2 clients". */
export const plural = (n: number, one: string, many = one + 's'): string => `${count(n)} ${n === 1 ? one : many}`

/**
 * visible writes characters that nobody sees, or that turn the order of others
 * round, as what they are: a client chooses its own name, and is not to look
 * like another one. (Joiners stay: scripts and emoji are written with them.)
 */
export const visible = (text: string): string =>
  text.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'))
