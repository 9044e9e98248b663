/** True when the text has kana or kanji in it. */
export function isJapanese(text: string): boolean {
  return /[\u3040-\u30ff\u3400-\u9fff]/.test(text)
}

/** A text in pieces that join to the whole: words with the space after them, Japanese two characters at a time. */
export function words(text: string): string[] {
  return (
    text.match(
      /[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]{1,2}|\s+|[^\s\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]+\s*/gu,
    ) ?? []
  )
}
