// SPDX-License-Identifier: Apache-2.0

// A tree that opens and closes with the mouse or the arrow keys (the pattern of
// WAI-ARIA's tree view): one item takes part in the tab order, the others are
// reached from it.
import type { ComponentChildren } from 'preact'
import { useRef, useState } from 'preact/hooks'
import { Icon } from './icon'

export interface TreeNode {
  /** id is unique in the whole tree. */
  id: string
  /** label is what is shown, text what it is called by. */
  label: ComponentChildren
  text: string
  /** children: undefined for a leaf; an empty list may still be loading. */
  children?: TreeNode[]
  /** note stands in the place of children that are not there: loading, cut off. */
  note?: string
}

interface TreeProps {
  label: string
  nodes: TreeNode[]
  open: ReadonlySet<string>
  onToggle: (node: TreeNode, open: boolean) => void
  selected?: string
  onSelect?: (node: TreeNode) => void
}

interface Row {
  node: TreeNode
  level: number
  parent?: string
  index: number
  count: number
}

/** rows lays the open part of the tree out, top to bottom, without recursion. */
function rows(nodes: TreeNode[], open: ReadonlySet<string>): Row[] {
  const out: Row[] = []
  const stack: Row[] = []
  const push = (list: TreeNode[], level: number, parent?: string) => {
    for (let i = list.length - 1; i >= 0; i--) {
      stack.push({ node: list[i]!, level, parent, index: i + 1, count: list.length })
    }
  }
  push(nodes, 1)
  for (let row = stack.pop(); row; row = stack.pop()) {
    out.push(row)
    if (row.node.children && open.has(row.node.id)) push(row.node.children, row.level + 1, row.node.id)
  }
  return out
}

export function Tree({ label, nodes, open, onToggle, selected, onSelect }: TreeProps) {
  const all = rows(nodes, open)
  const box = useRef<HTMLDivElement>(null)
  const [focus, setFocus] = useState<string>()
  const home = all.some((r) => r.node.id === focus) ? focus : (selected ?? all[0]?.node.id)
  const move = (to: Row | undefined) => {
    if (!to) return
    setFocus(to.node.id)
    box.current?.querySelectorAll<HTMLElement>('[role=treeitem]')[all.indexOf(to)]?.focus()
  }
  const key = (e: KeyboardEvent, i: number) => {
    const row = all[i]!
    const { node } = row
    const isOpen = open.has(node.id)
    switch (e.key) {
      case 'ArrowDown':
        move(all[i + 1])
        break
      case 'ArrowUp':
        move(all[i - 1])
        break
      case 'Home':
        move(all[0])
        break
      case 'End':
        move(all[all.length - 1])
        break
      case 'ArrowRight':
        if (node.children && !isOpen) onToggle(node, true)
        else if (node.children) move(all[i + 1])
        break
      case 'ArrowLeft':
        if (node.children && isOpen) onToggle(node, false)
        else move(all.find((r) => r.node.id === row.parent))
        break
      case 'Enter':
      case ' ':
        if ((e.target as Element).closest('button')) return
        if (onSelect) onSelect(node)
        else if (node.children) onToggle(node, !isOpen)
        break
      default:
        return
    }
    e.preventDefault()
  }
  return (
    <div class="tree" role="tree" aria-label={label} ref={box}>
      {all.map((row, i) => {
        const { node, level } = row
        const isOpen = node.children ? open.has(node.id) : undefined
        return (
          <div
            key={node.id}
            role="treeitem"
            aria-level={level}
            aria-setsize={row.count}
            aria-posinset={row.index}
            aria-expanded={isOpen}
            aria-selected={onSelect ? node.id === selected : undefined}
            aria-label={node.text}
            class="row"
            style={{ '--level': level }}
            tabIndex={node.id === home ? 0 : -1}
            onKeyDown={(e) => key(e, i)}
            onFocus={() => setFocus(node.id)}
            onClick={() => onSelect?.(node)}
          >
            <span
              class="twist"
              aria-hidden="true"
              onClick={(e) => {
                if (!node.children) return
                e.stopPropagation()
                onToggle(node, !isOpen)
              }}
            >
              {node.children && <Icon name={isOpen ? 'down' : 'right'} size={14} />}
            </span>
            <span class="label">{node.label}</span>
            {isOpen && node.note && <span class="note">{node.note}</span>}
          </div>
        )
      })}
    </div>
  )
}
