import { lazy, Suspense } from 'react'
import type { CodeText } from './coloured.tsx'

const Plain = ({ text }: CodeText) => <>{text}</>

// Colours are not worth a broken page: where they cannot be loaded, as behind an update of the server, code is as it is.
const Coloured = lazy(() => import('./coloured.tsx').catch(() => ({ default: Plain })))

/** The text of code: at once as it is, in colours as soon as they are there. */
export function Code({ text, language }: CodeText) {
  if (language === '') return <>{text}</>
  return (
    <Suspense fallback={text}>
      <Coloured text={text} language={language} />
    </Suspense>
  )
}
