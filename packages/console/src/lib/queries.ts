import { QueryClient, queryOptions } from '@tanstack/react-query'
import { TroupeError } from '@troupe/client/errors'
import type { UsageReport, UsageRow } from '@troupe/protocol/usage-report'
import { allApprovals, client, isAbsent, pendingApprovals, pendingInputs, queueReport, usageReport } from './api.ts'

export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // The client itself tries again; a refusal does not pass by waiting.
      retry: (failures, error) => !(error instanceof TroupeError) && failures < 2,
      staleTime: 1_000,
      networkMode: 'always',
    },
  },
})

export const infoQuery = queryOptions({
  queryKey: ['info'],
  queryFn: ({ signal }) => client.info({ signal }),
  refetchInterval: 10_000,
})
export const modelsQuery = queryOptions({
  queryKey: ['models'],
  queryFn: ({ signal }) => client.models({ signal }),
  staleTime: 600_000,
})
export const sessionsQuery = (limit: number, archived = false) =>
  queryOptions({
    queryKey: ['sessions', limit, archived],
    queryFn: ({ signal }) => client.sessions.list({ limit, include_archived: archived, count: true }, { signal }),
    refetchInterval: 3_000,
    placeholderData: (previous) => previous,
  })
/** Sessions found by words, beyond those that a list has loaded. Off below three characters, by which nothing is found. */
export const foundQuery = (words: string) =>
  queryOptions({
    queryKey: ['sessions', 'found', words],
    queryFn: ({ signal }) => client.sessions.list({ q: words, limit: 200, include_archived: true }, { signal }),
    enabled: words.split(/\s+/).some((word) => [...word].length >= 3),
    retry: false,
  })
export const sessionQuery = (id: string) =>
  queryOptions({
    queryKey: ['session', id],
    queryFn: ({ signal }) => client.sessions.retrieve(id, { signal }),
    refetchInterval: 5_000,
  })
/** Null: the server has no approvals, and is not asked again. */
export const approvalsQuery = (sessionId: string | null = null) =>
  queryOptions({
    queryKey: ['approvals', sessionId],
    queryFn: ({ signal }) => pendingApprovals(sessionId, signal),
    refetchInterval: ({ state }) => (state.data === null || isAbsent(state.error) ? false : 3_000),
  })
/** What was asked, newest first, whether or not it has been answered. */
export const answeredQuery = (limit: number) =>
  queryOptions({
    queryKey: ['approvals', 'all', limit],
    queryFn: ({ signal }) => allApprovals(limit, signal),
    refetchInterval: 10_000,
    placeholderData: (previous) => previous,
  })
export const inputsQuery = (sessionId: string) =>
  queryOptions({
    queryKey: ['inputs', sessionId],
    queryFn: ({ signal }) => pendingInputs(sessionId, signal),
  })
export const readyQuery = queryOptions({
  queryKey: ['ready'],
  queryFn: async ({ signal }) => ({ ready: await client.ready({ signal }), health: await client.health({ signal }) }),
  refetchInterval: 5_000,
})
export const queueQuery = queryOptions({
  queryKey: ['queue'],
  queryFn: ({ signal }) => queueReport(signal),
  refetchInterval: ({ state }) => (state.data === null ? false : 5_000),
})
/** Days that are shown, newest last. */
export const USAGE_DAYS = 31
/** Pages of other groups that are read to find the largest. */
const USAGE_PAGES = 5

/** The newest days; of other groups all, up to 5,000. `more`: there were still more. Null: the server has no such report. */
export const usageQuery = (groupBy: string) =>
  queryOptions({
    queryKey: ['usage', groupBy],
    queryFn: async ({ signal }) => {
      const limit = groupBy === 'day' ? USAGE_DAYS : 1_000
      const rows: UsageRow[] = []
      let page: string | null = null
      for (let n = 0; n < (groupBy === 'day' ? 1 : USAGE_PAGES); n++) {
        const report: UsageReport | null = await usageReport(groupBy, 'desc', limit, page, signal)
        if (!report) return null
        rows.push(...report.data)
        page = report.next_page
        if (page === null || n === USAGE_PAGES - 1 || groupBy === 'day')
          return { rows, totals: report.totals, more: page !== null }
      }
      return null
    },
    refetchInterval: ({ state }) => (state.data === null ? false : 30_000),
  })
