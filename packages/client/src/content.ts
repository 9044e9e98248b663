import type { ContentBlock } from '@troupe/protocol/event'

/** The `content` of an event as blocks; what is none is left out. */
export function blocksOf(content: unknown): ContentBlock[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }]
  return Array.isArray(content) ? content.filter((block) => typeof block === 'object' && block !== null) : []
}

/** The text of content; images and documents are left out. */
export function textOf(content: readonly ContentBlock[]): string {
  const texts = content.map((block) => (block.type === 'text' ? block.text : null))
  return texts.filter((text) => typeof text === 'string').join('\n')
}
