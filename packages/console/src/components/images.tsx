import type { ContentBlock } from '@troupe/protocol/event'
import { useWords } from '../words/use-words.tsx'

/** Pictures that came with the content; one that is elsewhere is named and not fetched. */
export function Images({ content }: { content: readonly ContentBlock[] }) {
  const words = useWords()
  return content.map((block, index) => {
    if (block.type !== 'image') return null
    if (block.source.type === 'url') return <code key={index}>{block.source.url}</code>
    if (!/^image\/(png|jpeg|gif|webp)$/.test(block.source.media_type)) return null
    return (
      <img
        key={index}
        className="img"
        alt={words.tool.image}
        src={`data:${block.source.media_type};base64,${block.source.data}`}
      />
    )
  })
}
