import { useVirtualizer } from '@tanstack/react-virtual'
import { useCallback, useLayoutEffect, useRef, useState } from 'react'
import type { Row } from '../lib/rows.ts'
import { useWords } from '../words/use-words.tsx'
import { Icon } from './icon.tsx'
import { TranscriptRow } from './transcript-row.tsx'

/** Distance from the end, in pixels, that still counts as being there. */
const NEAR = 48

/** The rows that are in view, of any number. Stays at the end until its reader scrolls away, and says what came below. */
export function Transcript({
  rows,
  waiting,
  live,
  open,
}: {
  rows: Row[]
  waiting: ReadonlySet<string>
  live: boolean
  open: boolean | null
}) {
  const words = useWords()
  const box = useRef<HTMLDivElement>(null)
  const atEnd = useRef(true)
  const [away, setAway] = useState<number | null>(null)
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: (index) => (rows[index]!.kind === 'item' ? 64 : 44),
    getItemKey: (index) => rows[index]!.key,
    overscan: 8,
    paddingEnd: 24,
  })
  const size = virtualizer.getTotalSize()

  const toEnd = useCallback(() => {
    const element = box.current
    if (element) element.scrollTop = element.scrollHeight
  }, [])
  useLayoutEffect(() => {
    if (atEnd.current) toEnd()
  }, [size, rows, toEnd])

  const onScroll = () => {
    const element = box.current!
    atEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR
    setAway((before) => (atEnd.current ? null : (before ?? rows.length)))
  }
  const fresh = away !== null && rows.length > away
  return (
    <>
      <div
        className="scroll"
        ref={box}
        onScroll={onScroll}
        onWheel={(event) => {
          // Turning the wheel up means to read: the end is let go before the scroll event tells it.
          if (event.deltaY < 0) atEnd.current = false
        }}
        tabIndex={0}
        role="log"
        aria-live="off"
        aria-label={words.transcript}
      >
        <div className="track" style={{ height: size }}>
          {virtualizer.getVirtualItems().map((entry) => {
            const row = rows[entry.index]!
            const lead = entry.index > 0 && row.kind === 'item' && row.item.kind === 'user'
            return (
              <div
                key={entry.key}
                ref={virtualizer.measureElement}
                data-index={entry.index}
                className={lead || entry.index === 0 ? 'rowbox lead' : 'rowbox'}
                style={{ transform: `translateY(${entry.start}px)` }}
              >
                <TranscriptRow row={row} waiting={waiting} live={live} open={open} />
              </div>
            )
          })}
        </div>
      </div>
      <div className="foot">
        {away !== null && (
          <button
            type="button"
            className={fresh ? 'below primary' : 'below'}
            aria-label={fresh ? words.newBelow : words.transcript}
            onClick={() => {
              atEnd.current = true
              setAway(null)
              toEnd()
            }}
          >
            <Icon name="down" />
            {fresh && words.newBelow}
          </button>
        )}
      </div>
    </>
  )
}
