import type { Queue } from '@troupe/protocol/queue'
import { expect, test } from 'vitest'
import { runCli } from './support/cli.ts'
import { fakeServer, json, realServer } from './support/server.ts'

const LINE: Queue = {
  type: 'queue',
  depth: 2,
  running: 3,
  slots: { max: 8, used: 3 },
  memory: { budget_bytes: 2 ** 31, used_bytes: 700 * 2 ** 20 },
  oldest_queued_at: new Date(Date.now() - 90_000).toISOString(),
  backoff_until: '2027-01-01T00:00:00.000Z',
  by_key: [],
  data: [
    {
      session_id: 'sesn_1',
      position: 1,
      priority: 10,
      concurrency_key: 'repo \u001b[31m7',
      enqueued_at: new Date(Date.now() - 90_000).toISOString(),
      reason: 'model_backoff',
    },
  ],
}

test('the queue shows what there is, what is taken, and the first in line', async () => {
  const asked: string[] = []
  await using server = await fakeServer((response, url) => {
    asked.push(url)
    json(response, 200, LINE)
  })
  const { code, stdout } = await runCli(['queue', '-n', '1'], { url: server.url })
  expect(code).toBe(0)
  expect(asked).toEqual(['/v1/queue?limit=1'])
  const lines = stdout.split('\n')
  expect(lines[0]).toBe('3 of 8 slots, 700 MiB of 2,048 MiB')
  expect(lines[1]).toMatch(/^2 waiting, the longest for 1\D*m/)
  expect(lines[2]).toBe('the model refuses; nothing is started before 2027-01-01T00:00:00.000Z')
  expect(lines[5]).toMatch(/^1 +sesn_1 +10 +repo \S*7 +1\D*m\S* +model_backoff$/)
  expect(stdout).not.toContain('\u001b[31m')
  const whole = await runCli(['queue', '--json'], { url: server.url })
  expect(JSON.parse(whole.stdout)).toEqual(LINE)
})

test('the queue of a server without work says that nobody waits', async () => {
  await using server = await realServer()
  const { stdout } = await runCli(['queue'], server)
  expect(stdout).toMatch(/^0 of \d+ slots, 0 MiB of [\d,]+ MiB\nnobody waits\n$/)
})
