/** Times, money and counts in the reader's language. */

/** Four decimals under a cent, two above. */
export function money(usd: number, language: string): string {
  const digits = usd !== 0 && Math.abs(usd) < 0.01 ? 4 : 2
  return new Intl.NumberFormat(language, {
    style: 'currency',
    currency: 'USD',
    currencyDisplay: 'narrowSymbol',
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(usd)
}

export const count = (value: number, language: string): string =>
  new Intl.NumberFormat(language, value >= 10_000 ? { notation: 'compact', maximumFractionDigits: 1 } : {}).format(
    value,
  )

const SIZES = [
  ['gigabyte', 1e9],
  ['megabyte', 1e6],
  ['kilobyte', 1e3],
  ['byte', 1],
] as const

/** `3.2 GB`, `14 kB`. */
export function bytes(value: number, language: string): string {
  const [unit, size] = SIZES.find(([, size]) => value >= size) ?? ['byte', 1]
  // Short of this one is "10 byte".
  const unitDisplay = unit === 'byte' ? 'long' : 'short'
  return new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay, maximumFractionDigits: 1 }).format(
    value / size,
  )
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
]

/** `3 minutes ago`, `in 5 minutes`; under a minute, in seconds. */
export function relative(at: number, now: number, language: string): string {
  const seconds = Math.round((at - now) / 1000)
  const format = new Intl.RelativeTimeFormat(language, { numeric: 'auto', style: 'short' })
  const [unit, size] = STEPS.find(([, size]) => Math.abs(seconds) >= size) ?? ['second', 1]
  return format.format(Math.trunc(seconds / size), unit)
}

export const exact = (at: number, language: string): string =>
  new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' }).format(at)

/** `4.2s`, `3m 05s`, `2h 10m`: the same in every language, as a clock is. */
export function duration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000
  if (seconds < 10) return `${seconds.toFixed(1)}s`
  if (seconds < 60) return `${Math.floor(seconds)}s`
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0')
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${two(seconds % 60)}s`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h ${two((seconds % 3600) / 60)}m`
  return `${Math.floor(seconds / 86_400)}d ${two((seconds % 86_400) / 3600)}h`
}
