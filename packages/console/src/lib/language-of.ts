/** Names and endings of files that are not a language by themselves, by the language of code-tokens.ts. */
const ALSO: Record<string, string> = {
  typescript: 'mts cts tsx',
  javascript: 'mjs cjs',
  json: 'jsonc json5 jsonl ndjson',
  python: 'pyi',
  xml: 'htm svg vue',
  ini: 'toml conf cfg env',
  makefile: 'mk',
  diff: 'patch',
  cpp: 'h hpp',
  kotlin: 'kts',
  bash: 'bashrc profile',
}
const LANGUAGES = new Map(
  Object.entries(ALSO).flatMap(([language, names]) => names.split(' ').map((name) => [name, language] as const)),
)

/** In which language a file is written, by its name: what code-tokens.ts may know it by; '' where nothing says it. */
export function languageOf(path: string): string {
  const name = (path.split(/[/\\]/).at(-1) ?? '').toLowerCase()
  if (name === 'dockerfile' || name === 'makefile') return name
  const ending = /\.([a-z0-9]+)$/.exec(name)?.[1] ?? ''
  return LANGUAGES.get(ending) ?? ending
}

/** The language that a fence names: ```ts title="x" is ts. */
export const languageOfFence = (info: string | undefined): string =>
  /^\s*([\w+#-]+)/.exec(info ?? '')?.[1]?.toLowerCase() ?? ''
