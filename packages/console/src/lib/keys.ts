/** Whether keys are letters here and not commands. */
const isWriting = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (/^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.isContentEditable)

/** The key that sends, as this machine's keyboard has it. */
export const SEND_KEY = /mac|iphone|ipad/i.test(navigator.userAgent) ? '⌘ ↵' : 'Ctrl ↵'

/** Runs a command when its key is pressed, but not while somebody writes, nor together with Ctrl, Alt or ⌘. Returns the undoing. */
export function onKey(commands: Record<string, () => unknown>): () => void {
  const listen = (event: KeyboardEvent) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return
    if (isWriting(event.target) && event.key !== 'Escape') return
    if (document.querySelector('dialog[open]')) return
    const command = commands[event.key]
    if (!command) return
    event.preventDefault()
    command()
  }
  document.addEventListener('keydown', listen)
  return () => document.removeEventListener('keydown', listen)
}

/** Presses the button that carries `data-key` in the card with the focus, else in the first card of the page. */
export function pressIn(key: string): void {
  const card = document.activeElement?.closest('[data-approval]') ?? document.querySelector('[data-approval]')
  card?.querySelector<HTMLButtonElement>(`[data-key="${key}"]:not(:disabled)`)?.click()
}
