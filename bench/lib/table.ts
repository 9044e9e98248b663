/** One line of the table. Aims are printed beside the figures and never asserted. */
export interface Figure {
  what: string
  value: string
  /** The same measured on the bare thing, in the same run. */
  bare?: string
  ratio?: string
  aim?: string
}

export interface Case {
  name: string
  run(options: { quick: boolean }): AsyncIterable<Figure>
}

const WIDTHS = [58, 30, 26, 8, 12]

const cells = (parts: (string | undefined)[]) =>
  `${parts.map((part, index) => (part ?? '').padEnd(WIDTHS[index]!)).join(' ')}`.trimEnd()

export const header = (): string =>
  `${cells(['', 'troupe', 'bare', 'ratio', 'aim'])}\n${WIDTHS.map((width) => '─'.repeat(width)).join(' ')}`

export const line = ({ what, value, bare, ratio, aim }: Figure): string => cells([what, value, bare, ratio, aim])

export const perSecond = (n: number): string => `${Math.round(n).toLocaleString('en')} /s`
export const ms = (n: number): string => `${n >= 100 ? Math.round(n) : Number(n.toPrecision(3))} ms`
export const times = (n: number): string => `${n.toFixed(2)}×`
/** p50 / p99. */
export const spread = (p50: number, p99: number): string => `${ms(p50)} / ${ms(p99)}`
