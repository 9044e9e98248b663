import { createContext } from 'react'

/** The session whose transcript is being shown; its rows lead to the transcripts of its subagents. */
export const ShownSession = createContext<string | null>(null)
