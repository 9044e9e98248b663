import { totalmem } from 'node:os'

/** Bytes of memory that this process and its children may have: the machine's, or less where a cgroup says so. */
export function memoryLimit(): number {
  // Without a limit it is 0, or a number beyond any machine.
  const limit = process.constrainedMemory()
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem()
}
