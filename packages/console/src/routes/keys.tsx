import { useQuery } from '@tanstack/react-query'
import type { ApiKey } from '@troupe/protocol/access'
import { useState } from 'react'
import { CreateKeyDialog, RevokeKeyDialog, RotateKeyDialog } from '../components/key-dialogs.tsx'
import { KeyTable } from '../components/key-table.tsx'
import { ListFoot } from '../components/list-foot.tsx'
import { NewSecret } from '../components/new-secret.tsx'
import { Problem } from '../components/problem.tsx'
import { ListSkeleton } from '../components/session-list.tsx'
import { keysQuery } from '../lib/access.ts'
import { infoQuery, queries } from '../lib/queries.ts'
import { usePageSize } from '../lib/use-page-size.ts'
import { usePageTitle } from '../lib/use-page-title.ts'
import { useWords } from '../words/use-words.tsx'

/** Keys asked for at first, and more each time. */
const PAGE = 100

type Asked = { what: 'create' } | { what: 'rotate' | 'revoke'; key: ApiKey }

/** Who may use this server: keys, made and shown once, rotated, revoked. */
export function KeysPage() {
  const words = useWords()
  const [revoked, setRevoked] = useState(false)
  const { limit, moreOf } = usePageSize(PAGE)
  const { data, error, isPending, refetch } = useQuery(keysQuery(limit, revoked))
  const info = useQuery(infoQuery).data
  const [asked, setAsked] = useState<Asked | null>(null)
  const [made, setMade] = useState<ApiKey | null>(null)
  usePageTitle(words.access.title)
  const close = () => setAsked(null)
  const again = () => queries.invalidateQueries({ queryKey: ['keys'] })
  const show = (key: ApiKey) => {
    setMade(key)
    void again()
  }
  const keys = data?.data ?? []
  return (
    <main className="page" id="content">
      <div className="column">
        <div className="row wrap">
          <h1 className="grow">{words.access.title}</h1>
          <button type="button" className="primary" onClick={() => setAsked({ what: 'create' })}>
            {words.access.create}
          </button>
        </div>
        {made && <NewSecret name={made.name} secret={made.secret ?? null} close={() => setMade(null)} />}
        {info?.keys_required === false && !error && <p className="notice">{words.access.open}</p>}
        {error && <Problem error={error} retry={() => void refetch()} />}
        {isPending ? (
          <ListSkeleton rows={4} />
        ) : keys.length > 0 ? (
          <KeyTable
            keys={keys}
            rotate={(key) => setAsked({ what: 'rotate', key })}
            revoke={(key) => setAsked({ what: 'revoke', key })}
          />
        ) : (
          !error && <p className="empty">{words.access.none}</p>
        )}
        <ListFoot label={words.access.showRevoked} checked={revoked} change={setRevoked} more={moreOf(data)} />
      </div>
      {asked?.what === 'create' && <CreateKeyDialog made={show} close={close} />}
      {asked?.what === 'rotate' && <RotateKeyDialog apiKey={asked.key} made={show} close={close} />}
      {asked?.what === 'revoke' && (
        <RevokeKeyDialog
          apiKey={asked.key}
          done={() => {
            if (made?.id === asked.key.id) setMade(null)
            void again()
            // It may have been the one this page is logged in with.
            void queries.invalidateQueries({ queryKey: infoQuery.queryKey })
          }}
          close={close}
        />
      )}
    </main>
  )
}
