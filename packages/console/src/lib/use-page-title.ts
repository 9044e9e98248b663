import { useQuery } from '@tanstack/react-query'
import { useEffect } from 'react'
import { approvalsQuery } from './queries.ts'

/** The tab's title: how much waits for a person, then what the page is. */
export function usePageTitle(title: string): void {
  const { data } = useQuery(approvalsQuery())
  const waiting = data?.data.length ?? 0
  useEffect(() => {
    document.title = `${waiting > 0 ? `(${waiting}) ` : ''}${title} · Troupe`
  }, [waiting, title])
}
