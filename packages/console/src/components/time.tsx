import { exact, relative } from '../lib/format.ts'
import { useNow } from '../lib/use-now.ts'
import { useSpeech } from '../words/use-words.tsx'

/** How long ago, by a clock that may differ from the server's; with `future`, or until when. The exact time on hover. */
export function Ago({ at, future = false }: { at: string; future?: boolean }) {
  const { language } = useSpeech()
  const now = useNow(10_000)
  const time = Date.parse(at)
  return (
    <time dateTime={at} title={exact(time, language)}>
      {relative(future ? time : Math.min(time, now), now, language)}
    </time>
  )
}
