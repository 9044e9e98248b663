import { get, openSocket } from './raw-client.ts'

/** Streams of sessions, each read to the byte; measures how old every event is when it arrives. */
export async function watchSessions(url: string, ids: string[], readersEach: number) {
  const { hostname, port } = new URL(url)
  /** Milliseconds. */
  const ages: number[] = []
  const sockets = await Promise.all(
    ids.flatMap((id) =>
      Array.from({ length: readersEach }, async () => {
        const socket = await openSocket(hostname, Number(port))
        const opened = Promise.withResolvers<void>()
        let rest = ''
        socket.on('data', (chunk) => {
          const now = process.hrtime.bigint()
          opened.resolve()
          const lines = (rest + chunk.toString('latin1')).split('\n')
          rest = lines.pop()!
          for (const line of lines) {
            const made = /"t":"(\d+)"/.exec(line)
            if (made) ages.push(Number(now - BigInt(made[1]!)) / 1e6)
          }
        })
        socket.write(get(`/v1/sessions/${id}/events/stream`))
        await opened.promise
        return socket
      }),
    ),
  )
  return {
    ages,
    close() {
      for (const socket of sockets) socket.destroy()
    },
  }
}
