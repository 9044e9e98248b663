import type { ApiKey, ScopeName } from '@troupe/protocol/access'
import { useState } from 'react'
import { createKey, keyPath, KEYS_PATH, type Preset, PRESETS, revokeKey, rotateKey } from '../lib/access.ts'
import { useWords } from '../words/use-words.tsx'
import { FormDialog } from './form-dialog.tsx'

const DAY = 86_400
/** How long a key may last, in days; 0: until it is revoked. */
const LIVES = [0, 30, 90, 365] as const
/** How long an old secret is good beside the new one, in seconds. */
const GRACES = [0, 3_600, DAY, 7 * DAY] as const

export function CreateKeyDialog({ made, close }: { made: (key: ApiKey) => void; close: () => void }) {
  const words = useWords()
  const [name, setName] = useState('')
  const [preset, setPreset] = useState<Preset | 'own'>('work')
  const [own, setOwn] = useState<ReadonlySet<ScopeName>>(new Set(PRESETS.work))
  const [days, setDays] = useState(0)
  const scopes = preset === 'own' ? [...own] : [...PRESETS[preset]]
  // The time counts from when the key is made, not from when the form was opened.
  const body = () => ({
    name: name.trim(),
    scopes,
    ...(days > 0 && { expires_at: new Date(Date.now() + days * DAY * 1000).toISOString() }),
  })
  const toggle = (scope: ScopeName) => {
    const next = new Set(own)
    if (!next.delete(scope)) next.add(scope)
    setOwn(next)
  }
  return (
    <FormDialog
      title={words.access.create}
      action={words.access.create}
      ready={name.trim() !== '' && scopes.length > 0}
      call={() => ({ method: 'POST', path: KEYS_PATH, body: body() })}
      submit={async () => made(await createKey(body()))}
      close={close}
    >
      <label className="field">
        <span>{words.access.name}</span>
        <input
          autoFocus
          required
          maxLength={256}
          value={name}
          placeholder={words.access.nameHint}
          onChange={(event) => setName(event.target.value)}
        />
      </label>
      <label className="field">
        <span>{words.access.may}</span>
        <select value={preset} onChange={(event) => setPreset(event.target.value as Preset | 'own')}>
          {(Object.keys(words.access.presets) as (Preset | 'own')[]).map((each) => (
            <option key={each} value={each}>
              {words.access.presets[each]}
            </option>
          ))}
        </select>
      </label>
      {preset === 'own' ? (
        <fieldset className="scopes">
          <legend className="sr">{words.access.may}</legend>
          {(Object.keys(words.scopes) as ScopeName[]).map((scope) => (
            <label key={scope}>
              <input type="checkbox" checked={own.has(scope)} onChange={() => toggle(scope)} />
              <span>
                <code>{scope}</code>
                <span className="tiny soft">{words.scopes[scope]}</span>
              </span>
            </label>
          ))}
        </fieldset>
      ) : (
        <p className="tiny soft">
          <code>{scopes.join(', ')}</code>
        </p>
      )}
      <label className="field">
        <span>{words.access.lasts}</span>
        <select value={days} onChange={(event) => setDays(Number(event.target.value))}>
          {LIVES.map((each) => (
            <option key={each} value={each}>
              {words.access.life(each)}
            </option>
          ))}
        </select>
      </label>
    </FormDialog>
  )
}

export function RotateKeyDialog({
  apiKey,
  made,
  close,
}: {
  apiKey: ApiKey
  made: (key: ApiKey) => void
  close: () => void
}) {
  const words = useWords()
  const [grace, setGrace] = useState<number>(DAY)
  return (
    <FormDialog
      title={words.access.rotateTitle(apiKey.name)}
      action={words.access.rotate}
      call={() => ({ method: 'POST', path: keyPath(apiKey.id, 'rotate'), body: { grace_seconds: grace } })}
      submit={async () => made(await rotateKey(apiKey.id, grace))}
      close={close}
    >
      <label className="field">
        <span>{words.access.grace}</span>
        <select value={grace} onChange={(event) => setGrace(Number(event.target.value))}>
          {GRACES.map((each) => (
            <option key={each} value={each}>
              {words.access.graceOf(each / 3_600)}
            </option>
          ))}
        </select>
      </label>
      {apiKey.rotated_until !== null && <p className="small soft">{words.access.twice}</p>}
    </FormDialog>
  )
}

export function RevokeKeyDialog({ apiKey, done, close }: { apiKey: ApiKey; done: () => void; close: () => void }) {
  const words = useWords()
  return (
    <FormDialog
      title={words.access.revokeTitle(apiKey.name)}
      action={words.access.revoke}
      danger
      call={() => ({ method: 'DELETE', path: keyPath(apiKey.id) })}
      submit={async () => {
        await revokeKey(apiKey.id)
        done()
      }}
      close={close}
    >
      <p>{words.access.revokeMeans}</p>
    </FormDialog>
  )
}
