import type { Item, SessionView, ToolItem } from '@troupe/client/view'

/** What the transcript shows: one item, or a run of reads and searches in one line. */
export type Row =
  | { kind: 'item'; key: string; item: Item }
  | { kind: 'group'; key: string; of: 'Read' | 'search'; items: ToolItem[] }
  | { kind: 'preview'; key: string; type: 'agent.message' | 'agent.thinking'; text: string }

const groupOf = (item: Item): 'Read' | 'search' | null => {
  if (item.kind !== 'tool' || item.denied !== null || item.result === null || item.result.isError) return null
  if (item.name === 'Read') return 'Read'
  return item.name === 'Grep' || item.name === 'Glob' ? 'search' : null
}

/** The rows of a view. A finished message keeps the key its preview had, so nothing is drawn anew when it arrives. */
export function rowsOf({ items, preview }: Pick<SessionView, 'items' | 'preview'>): Row[] {
  const rows: Row[] = []
  for (let index = 0; index < items.length; index++) {
    const item = items[index]!
    const of = groupOf(item)
    let end = index + 1
    if (of) while (end < items.length && groupOf(items[end]!) === of) end++
    if (of && end - index > 1) {
      rows.push({ kind: 'group', key: `group ${item.id}`, of, items: items.slice(index, end) as ToolItem[] })
      index = end - 1
    } else rows.push({ kind: 'item', key: item.id, item })
  }
  if (preview && (preview.text !== '' || preview.type === 'agent.thinking'))
    rows.push({ kind: 'preview', key: preview.id, type: preview.type, text: preview.text })
  return rows
}
