import { exact, relative } from '../lib/format.ts'
import { useNow } from '../lib/use-now.ts'
import { useSpeech } from '../words/use-words.tsx'

/** How long ago; the exact time on hover. */
export function Ago({ at }: { at: string }) {
  const { language } = useSpeech()
  const now = useNow(10_000)
  const time = Date.parse(at)
  return (
    <time dateTime={at} title={exact(time, language)}>
      {relative(Math.min(time, now), now, language)}
    </time>
  )
}
