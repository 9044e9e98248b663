import { useState } from 'react'
import { useWords } from '../words/use-words.tsx'

export function CopyButton({
  text,
  label,
  className = 'plain',
}: {
  text: () => string
  label?: string
  className?: string
}) {
  const words = useWords()
  const [copied, setCopied] = useState(false)
  const copy = async () => {
    await writeText(text())
    setCopied(true)
    setTimeout(() => setCopied(false), 1_500)
  }
  return (
    <button type="button" className={className} onClick={() => void copy()}>
      <span aria-live="polite">{copied ? words.copied : (label ?? words.copy)}</span>
    </button>
  )
}

/** The clipboard is for secure pages only; others have the old way. */
async function writeText(text: string) {
  try {
    await navigator.clipboard.writeText(text)
  } catch {
    const area = document.createElement('textarea')
    area.value = text
    document.body.append(area)
    area.select()
    document.execCommand('copy')
    area.remove()
  }
}
