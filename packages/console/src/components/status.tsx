import type { ReactNode } from 'react'
import type { State } from '../lib/session-state.ts'
import { useWords } from '../words/use-words.tsx'

const MARKS: Record<State, ReactNode> = {
  queued: <circle cx="6" cy="6" r="4.5" strokeDasharray="2 2" />,
  running: <path d="M6 1.500a4.500 4.500 0 11-4.500 4.500" />,
  waiting: <path d="M6 1.500l4.500 4.500L6 10.500 1.500 6zM6 4.500v2M6 8v.01" />,
  done: <path d="M2 6.500l2.700 2.700L10 3.500" />,
  failed: <path d="M3 3l6 6M9 3l-6 6" />,
  stopped: <path d="M3 3h6v6H3z" />,
  idle: <circle cx="6" cy="6" r="4" />,
  archived: <path d="M2 3h8v2H2zM3 5v5h6V5M5 7h2" />,
}

/** A mark, a word and a colour together. */
export function Status({ state }: { state: State }) {
  const words = useWords()
  return (
    <span className={`status ${state}`} data-state={state}>
      <svg
        viewBox="0 0 12 12"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.4"
        strokeLinecap="round"
        aria-hidden="true"
      >
        {MARKS[state]}
      </svg>
      {words.status[state]}
    </span>
  )
}
