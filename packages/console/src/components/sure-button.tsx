import { useState } from 'react'

/** A button that asks once more, in its own place, before it does what cannot be undone; it forgets when it loses the focus. */
export function SureButton({
  label,
  sure,
  name,
  disabled,
  press,
}: {
  label: string
  /** What it says once it was pressed. */
  sure: string
  /** What it is pressed for, for those who do not see the row it is in. */
  name: string
  disabled?: boolean
  press: () => void
}) {
  const [asked, setAsked] = useState(false)
  const text = asked ? sure : label
  return (
    <button
      type="button"
      className="danger"
      aria-label={`${text}: ${name}`}
      disabled={disabled}
      onBlur={() => setAsked(false)}
      onKeyDown={(event) => {
        if (event.key === 'Escape') setAsked(false)
      }}
      onClick={() => {
        setAsked(!asked)
        if (asked) press()
      }}
    >
      <span aria-live="polite">{text}</span>
    </button>
  )
}
