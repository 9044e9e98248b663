/** What this browser remembers of its reader. A browser that refuses to keep things forgets, and nothing breaks. */
export type Kept = 'language' | 'theme' | 'inspector' | 'actor'

export function recall(name: Kept): string | null {
  try {
    return localStorage.getItem(`troupe.${name}`)
  } catch {
    return null
  }
}

export function remember(name: Kept, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`troupe.${name}`)
    else localStorage.setItem(`troupe.${name}`, value)
  } catch {
    // Private windows may refuse.
  }
}
