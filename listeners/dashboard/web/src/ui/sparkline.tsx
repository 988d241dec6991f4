// SPDX-License-Identifier: Apache-2.0

import { useState } from 'preact/hooks'

interface SparklineProps {
  /** values, oldest first; all are drawn. */
  values: number[]
  /** room is how many values the width stands for: a short history begins at the right. */
  room?: number
  label: string
  /** write formats a value under the pointer; when says what its moment is called. */
  write?: (value: number) => string
  when?: (index: number) => string
  height?: number
}

const width = 240

/** Sparkline is a small line over time; the pointer reads single values. */
export function Sparkline({ values, room = values.length, label, write = String, when, height = 40 }: SparklineProps) {
  const [at, setAt] = useState<number>()
  const top = Math.max(...values, 1e-9)
  const step = width / Math.max(room - 1, 1)
  const x = (i: number) => width - (values.length - 1 - i) * step
  const y = (v: number) => height - 2 - (v / top) * (height - 5)
  const points = values.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`).join(' ')
  const move = (e: PointerEvent) => {
    const box = (e.currentTarget as Element).getBoundingClientRect()
    const i = values.length - 1 - Math.round((width - ((e.clientX - box.left) / box.width) * width) / step)
    setAt(i >= 0 && i < values.length ? i : undefined)
  }
  const shown = at === undefined ? undefined : values[at]
  return (
    <div class="sparkline">
      <svg
        viewBox={`0 0 ${width} ${height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={label + (values.length ? `, now ${write(values[values.length - 1]!)}` : '')}
        onPointerMove={move}
        onPointerLeave={() => setAt(undefined)}
      >
        {values.length > 1 && (
          <>
            <polygon class="area" points={`${x(0).toFixed(1)},${height} ${points} ${width},${height}`} />
            <polyline class="line" points={points} />
          </>
        )}
        {shown !== undefined && <line class="mark" x1={x(at!)} x2={x(at!)} y1="0" y2={height} />}
      </svg>
      {shown !== undefined && (
        <span class="reading">
          {write(shown)} {when?.(at!)}
        </span>
      )}
    </div>
  )
}
