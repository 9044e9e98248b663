const PATHS = {
  sessions: 'M3 4h10M3 8h10M3 12h6',
  approvals: 'M3 8.5l3.2 3.2L13 5',
  overview: 'M3 13V8M8 13V3M13 13v-3',
  settings: 'M3 5h6M12 5h1M3 11h1M7 11h6M10.5 3.5v3M5.5 9.5v3',
  clock: 'M8 2.500a5.500 5.500 0 100 11 5.500 5.500 0 000-11zM8 5v3l2 1.500',
  key: 'M5.500 7a3 3 0 100 6 3 3 0 000-6zM7.600 7.900L13 2.500M10.500 5l2 2',
  book: 'M3 3h4.2c.5 0 .8.3.8.8V13M13 3H8.8c-.5 0-.8.3-.8.8V13h5z M3 3v10h5',
  chevron: 'M6 4l4 4-4 4',
  down: 'M8 3v9M4.5 8.5L8 12l3.5-3.5',
  up: 'M8 13V4M4.5 7.5L8 4l3.5 3.5',
  back: 'M10 3L5 8l5 5',
  panel: 'M2.5 3h11v10h-11zM10 3v10',
  more: 'M4 8h.01M8 8h.01M12 8h.01',
  terminal: 'M3 5l3 3-3 3M8 11h5',
  file: 'M4 2.5h5l3 3v8H4z',
  search: 'M7 3a4 4 0 100 8 4 4 0 000-8zM10 10l3.5 3.5',
  agent: 'M4 3v4a3 3 0 003 3h5M9.5 7.5L12 10l-2.500 2.500',
  plug: 'M5 3v3M11 3v3M4 6h8v2a4 4 0 01-8 0zM8 12v2',
  list: 'M3 4.500l1 1 1.500-2M3 10.500l1 1 1.500-2M8 5h5M8 11h5',
  globe:
    'M8 2.500a5.500 5.500 0 100 11 5.500 5.500 0 000-11zM2.500 8h11M8 2.500c3.500 3.500 3.500 7.500 0 11M8 2.500c-3.500 3.500-3.500 7.500 0 11',
  thought: 'M4 5h8M4 8h5M4 11h3',
  stop: 'M4.500 4.500h7v7h-7z',
  warn: 'M8 3v6M8 12.500v.01',
} as const
export type IconName = keyof typeof PATHS

export function Icon({ name, className }: { name: IconName; className?: string }) {
  return (
    <svg
      className={className}
      width="16"
      height="16"
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.4"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  )
}
