import { startDemoModel } from '@troupe/demo-model/demo-model'
import type { SessionEvent } from '@troupe/protocol/event'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { testServer } from '../support/server.ts'

const KEY = 'sk-ant-canary-of-the-proxy-4711'

const scripted = (steps: object[]) => `Go\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``

/** The demo model behind a door that keeps which keys were shown, and where. */
async function watchedModel() {
  const model = await startDemoModel()
  const asked: { line: string; key: unknown; bearer: unknown }[] = []
  const door = createServer((incoming, outgoing) => {
    const { method, url = '', headers } = incoming
    asked.push({ line: `${method} ${url.split('?')[0]}`, key: headers['x-api-key'], bearer: headers.authorization })
    const onward = request(model.url + url.replace(/^\/base/, ''), { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode!, answer.headers)
      answer.pipe(outgoing)
    })
    onward.on('error', () => outgoing.destroy())
    outgoing.on('close', () => onward.destroy())
    incoming.pipe(onward)
  })
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    door.closeAllConnections()
    door.close()
    await model.close()
  })
  return { url: `http://127.0.0.1:${(door.address() as AddressInfo).port}/base`, asked, model }
}

const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile())

test('CP1 the real key is nowhere at the genuine agent: not in its environment, its commands or its files; its stand-in ends with it', async () => {
  const { url, asked } = await watchedModel()
  const server = await testServer(
    { agent_executable: undefined },
    { env: { ANTHROPIC_API_KEY: KEY, ANTHROPIC_BASE_URL: url, AWS_SECRET_ACCESS_KEY: `${KEY}-aws` } },
  )
  onTestFinished(() => server.stop())
  const command = 'env; echo; cat /proc/self/environ; cat /proc/$PPID/environ | tr "\\0" "\\n"'
  const ask = (n: number) =>
    server.create(scripted([{ tools: [{ name: 'Bash', input: { command } }] }, { say: `done ${n}` }]), {
      agent: { type: 'inline', permission_mode: 'bypassPermissions' },
    })
  const sessions = await Promise.all([ask(1), ask(2)])
  const standIns = new Set<string>()
  let address = ''
  for (const [n, { id }] of sessions.entries()) {
    expect((await server.idle(id)).result).toMatchObject({ text: `done ${n + 1}` })
    const events = JSON.stringify(await server.events(id))
    const [, standIn] = /ANTHROPIC_API_KEY=(troupe-stand-in-[\w-]+)/.exec(events)!
    ;[, address] = /ANTHROPIC_BASE_URL=(http:\/\/127\.0\.0\.1:\d+)/.exec(events)! as unknown as [string, string]
    standIns.add(standIn!)
    expect(events).not.toContain(KEY)
  }
  expect(standIns.size).toBe(2)
  expect(asked.length).toBeGreaterThan(3)
  expect(new Set(asked.filter(({ line }) => line.includes('/v1/')).map(({ key }) => key))).toEqual(new Set([KEY]))
  expect(new Set(asked.map(({ line }) => line))).toEqual(new Set(['POST /base/v1/messages']))
  // Both agents are gone with their turns; what was in their hands opens nothing.
  const opens = async (standIn: string) => {
    const headers = { 'x-api-key': standIn }
    return (await fetch(`${address}/v1/messages`, { method: 'POST', headers, body: '{}' })).status
  }
  for (const standIn of standIns) await expect.poll(() => opens(standIn)).toBe(401)
  // Then nobody writes there any more.
  await server.app.stop()
  const files = filesBelow(join(server.folder, 'data'))
  expect(files.length).toBeGreaterThan(3)
  for (const file of files) expect([file, readFileSync(file).includes(KEY)]).toEqual([file, false])
})

test('CP8 an agent that is kept or waits for its session has a stand-in of its own, and a token goes as a token', async () => {
  const { url, asked } = await watchedModel()
  const server = await testServer(
    { agent_executable: undefined, live_seconds: 60, spares: 1 },
    { env: { ANTHROPIC_API_KEY: undefined, ANTHROPIC_AUTH_TOKEN: KEY, ANTHROPIC_BASE_URL: url } },
  )
  onTestFinished(() => server.stop())
  const first = await server.create(scripted([{ say: 'one' }]))
  expect((await server.idle(first.id)).result).toMatchObject({ text: 'one' })
  await server.send(first.id, scripted([{ say: 'two' }]))
  expect((await server.idle(first.id)).result).toMatchObject({ text: 'two' })
  const second = await server.create(scripted([{ say: 'three' }]))
  expect((await server.idle(second.id)).result).toMatchObject({ text: 'three' })
  expect(asked.length).toBeGreaterThan(2)
  expect(new Set(asked.map(({ bearer }) => bearer))).toEqual(new Set([`Bearer ${KEY}`]))
  const { model } = await server.get<{ model: { note: string } }>('/v1/info')
  expect(model.note).toContain('stand-in')
})

test('CP9 what the genuine agent makes of failures of the endpoint is the same with the proxy and without', async () => {
  const tell = async (credential_proxy: 'on' | 'off') => {
    const model = await startDemoModel()
    const server = await testServer(
      { agent_executable: undefined, demo_model: 'on', credential_proxy, model_stall_seconds: 8 },
      { demoModel: model, env: { ANTHROPIC_API_KEY: undefined } },
    )
    try {
      const prompts = [
        scripted([{ fail: { status: 529, times: 2, retry_after: 0 }, say: 'overloaded, then well' }]),
        scripted([{ fail: { status: 500, times: 1 }, say: 'broken, then well' }]),
        scripted([{ fail: { status: 401 } }]),
        scripted([{ fail: { status: 400 } }]),
        scripted([{ hang: true }]),
        scripted([{ hang: 'mid', say: 'a few words that are cut in the middle' }]),
      ]
      const sessions = await Promise.all(prompts.map((prompt) => server.create(prompt)))
      const told = []
      for (const { id, uuid } of sessions) {
        const { result, last_error, stop_reason } = await server.idle(id)
        const of = ({ type, ...event }: SessionEvent) =>
          type === 'session.error' ? `${type} ${(event as { error?: { type?: string } }).error?.type}` : type
        const types = (await server.events(id)).map(of).filter((type) => /error|rescheduled|idle/.test(type))
        told.push({
          text: result?.text,
          code: last_error?.code,
          stop_reason,
          types,
          asked: model.requests.list(uuid).length,
        })
      }
      return told
    } finally {
      await server.stop()
      await model.close()
    }
  }
  const without = await tell('off')
  expect(without.map(({ code }) => code)).toEqual([
    undefined,
    undefined,
    expect.any(String),
    expect.any(String),
    expect.any(String),
    expect.any(String),
  ])
  expect(await tell('on')).toEqual(without)
})
