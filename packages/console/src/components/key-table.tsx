import type { ApiKey } from '@troupe/protocol/access'
import { useWords } from '../words/use-words.tsx'
import { Ago } from './time.tsx'

const MARK = { active: 'status done', expired: 'status', revoked: 'status' } as const

/** Keys as a table, each with what can be done with it. */
export function KeyTable({
  keys,
  rotate,
  revoke,
}: {
  keys: readonly ApiKey[]
  rotate: (key: ApiKey) => void
  revoke: (key: ApiKey) => void
}) {
  const words = useWords()
  return (
    <div className="table" tabIndex={0} role="group" aria-label={words.access.title}>
      <table className="keys-table">
        <thead>
          <tr>
            <th>{words.access.name}</th>
            <th className="hide-phone">{words.access.may}</th>
            <th className="hide-phone">{words.access.used}</th>
            <th>{words.table.status}</th>
            <th>
              <span className="sr">{words.facts.actions}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {keys.map((key) => (
            <tr key={key.id} data-key-row={key.id}>
              <td>
                <strong>{key.name}</strong>
                <br />
                <code className="faint">{key.prefix}…</code>
              </td>
              <td className="hide-phone">
                <ul className="row wrap scope-list">
                  {key.scopes.map((scope) => (
                    <li key={scope} title={words.scopes[scope]}>
                      <code>{scope}</code>
                    </li>
                  ))}
                </ul>
                {Object.keys(key.policy).length > 0 && <span className="tiny soft">{words.access.bounded}</span>}
              </td>
              <td className="hide-phone soft">
                {key.last_used_at === null ? words.access.never : <Ago at={key.last_used_at} />}
              </td>
              <td>
                <span className={MARK[key.status]}>{words.access.status[key.status]}</span>
                {key.status === 'active' && key.expires_at !== null && (
                  <div className="tiny soft">
                    {words.access.until} <Ago at={key.expires_at} future />
                  </div>
                )}
              </td>
              <td>
                {key.status !== 'revoked' && (
                  <div className="row wrap acts">
                    {key.status === 'active' && (
                      <button type="button" aria-label={words.access.rotateTitle(key.name)} onClick={() => rotate(key)}>
                        {words.access.rotate}
                      </button>
                    )}
                    <button
                      type="button"
                      className="danger"
                      aria-label={words.access.revokeTitle(key.name)}
                      onClick={() => revoke(key)}
                    >
                      {words.access.revoke}
                    </button>
                  </div>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
