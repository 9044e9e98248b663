import { createContext, type ReactNode, useContext, useEffect, useState } from 'react'
import { recall, remember } from '../lib/memory.ts'
import { en, type Words } from './en.ts'
import { ja } from './ja.ts'

export const LANGUAGES = { en, ja } as const
export type Language = keyof typeof LANGUAGES

interface Speech {
  language: Language
  words: Words
  speak: (language: Language) => void
}

const Context = createContext<Speech>({ language: 'en', words: en, speak: () => {} })

/** What was chosen here before, else the first of the browser's languages (its Accept-Language) that we speak. */
function firstLanguage(): Language {
  const chosen = recall('language')
  if (chosen === 'en' || chosen === 'ja') return chosen
  const known = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag in LANGUAGES)
  return (known as Language | undefined) ?? 'en'
}

export function Speaking({ children }: { children: ReactNode }) {
  const [language, setLanguage] = useState(firstLanguage)
  useEffect(() => {
    document.documentElement.lang = language
  }, [language])
  const speak = (next: Language) => {
    remember('language', next)
    setLanguage(next)
  }
  return <Context value={{ language, words: LANGUAGES[language], speak }}>{children}</Context>
}

export const useSpeech = (): Speech => useContext(Context)
export const useWords = (): Words => useContext(Context).words
