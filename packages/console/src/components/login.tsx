import { type FormEvent, useState } from 'react'
import { login } from '../lib/api.ts'
import { usePageTitle } from '../lib/use-page-title.ts'
import { useWords } from '../words/use-words.tsx'
import { Problem } from './problem.tsx'

/** Asks for a key where the server does. The key goes to the server alone; the browser keeps a cookie no script can read. */
export function Login() {
  const words = useWords()
  const [key, setKey] = useState('')
  const [error, setError] = useState<unknown>(null)
  const [busy, setBusy] = useState(false)
  usePageTitle(words.login.title)
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    try {
      await login(key.trim())
      // Everything that was asked without a key is asked again.
      location.reload()
    } catch (problem) {
      setError(problem)
      setBusy(false)
    }
  }
  return (
    <main className="page" id="content">
      <form className="column narrow stack" onSubmit={submit} data-form="login">
        <h1>{words.login.title}</h1>
        <p>{words.login.hint}</p>
        <label className="field">
          <span>{words.login.key}</span>
          <input
            type="password"
            autoComplete="current-password"
            autoFocus
            required
            value={key}
            onChange={(event) => setKey(event.target.value)}
          />
        </label>
        {error !== null && <Problem error={error} />}
        <div className="row">
          <button type="submit" className="primary" disabled={busy || key.trim() === ''}>
            {words.login.submit}
          </button>
        </div>
      </form>
    </main>
  )
}
