import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { logout } from '../lib/api.ts'
import { recall, remember } from '../lib/memory.ts'
import { infoQuery } from '../lib/queries.ts'
import { currentTheme, setTheme, THEMES, type Theme } from '../lib/theme.ts'
import { usePageTitle } from '../lib/use-page-title.ts'
import { type Language, LANGUAGES, useSpeech } from '../words/use-words.tsx'

async function leave(): Promise<void> {
  await logout()
  location.reload()
}

export function SettingsPage() {
  const { words, language, speak } = useSpeech()
  const info = useQuery(infoQuery).data
  const [theme, choose] = useState<Theme>(currentTheme)
  const [actor, setActor] = useState(() => recall('actor') ?? '')
  usePageTitle(words.settings)
  return (
    <main className="page" id="content">
      <div className="column narrow">
        <h1>{words.settings}</h1>
        <nav className="more-pages" aria-label={words.table.more}>
          <Link to="/agents">{words.agents.title}</Link>
          <Link to="/schedules">{words.schedules.title}</Link>
          <Link to="/files">{words.files.title}</Link>
          <Link to="/webhooks">{words.webhooks.title}</Link>
          <Link to="/keys">{words.access.title}</Link>
          <Link to="/skills">{words.skills.title}</Link>
          <Link to="/environments">{words.environments.title}</Link>
          <Link to="/audit">{words.audit.title}</Link>
        </nav>
        <section className="stack">
          <h2>{words.settingsPage.look}</h2>
          <div className="options" style={{ padding: 0, border: 0 }}>
            <label className="field">
              <span>{words.language}</span>
              <select value={language} onChange={(event) => speak(event.target.value as Language)}>
                {Object.entries(LANGUAGES).map(([tag, { name }]) => (
                  <option key={tag} value={tag} lang={tag}>
                    {name}
                  </option>
                ))}
              </select>
            </label>
            <label className="field">
              <span>{words.theme}</span>
              <select
                value={theme}
                onChange={(event) => {
                  setTheme(event.target.value as Theme)
                  choose(event.target.value as Theme)
                }}
              >
                {THEMES.map((each) => (
                  <option key={each} value={each}>
                    {words.themes[each]}
                  </option>
                ))}
              </select>
            </label>
            <label className="field wide">
              <span>{words.settingsPage.name}</span>
              <input
                value={actor}
                maxLength={255}
                autoComplete="name"
                onChange={(event) => {
                  setActor(event.target.value)
                  remember('actor', event.target.value.trim() || null)
                }}
              />
              <span className="tiny faint">{words.settingsPage.nameHint}</span>
            </label>
          </div>
        </section>
        {info && (
          <section className="stack">
            <h2>{words.settingsPage.server}</h2>
            <dl className="kv">
              <dt>{words.health.version}</dt>
              <dd>
                {info.version} (SDK {info.agent_sdk_version})
              </dd>
              <dt>{words.settingsPage.model}</dt>
              <dd>
                {words.settingsPage.sources[info.model.source]}
                <span className="tiny soft server-note" lang="en">
                  {info.model.note}
                </span>
              </dd>
              <dt>{words.settingsPage.containment}</dt>
              <dd lang="en">{info.containment}</dd>
            </dl>
            <h2>{words.settingsPage.capabilities}</h2>
            <ul className="tool-policies capabilities">
              {Object.entries(info.capabilities).map(([name, has]) => (
                <li key={name}>
                  <span>
                    {words.capabilityNames[name] ?? name} <code className="tiny faint">{name}</code>
                  </span>
                  <span className={has === 'yes' ? 'status done' : 'status'}>
                    {has === 'yes' ? words.settingsPage.yes : words.settingsPage.notYet}
                  </span>
                </li>
              ))}
            </ul>
          </section>
        )}
        <p className="row">
          <a href="/docs">{words.apiReference}</a>
          <span className="grow" />
          {info?.keys_required && (
            <button type="button" onClick={() => void leave()}>
              {words.login.out}
            </button>
          )}
        </p>
      </div>
    </main>
  )
}
