import { type DemoModel, startDemoModel } from '@troupe/demo-model/demo-model'
import type { SessionEvent } from '@troupe/protocol/event'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { breachOf, limitWords } from '../src/runner/agent-limits.ts'
import { type TestServer, testServer } from './support/server.ts'

const MIB = 2 ** 20
const NONE = { memoryBytes: null, tasks: null, fileBytes: null, openFiles: null, diskBytes: null }
const script = (steps: object[]) => `Play\n\`\`\`script\n${JSON.stringify(steps)}\n\`\`\``
const bash = (command: string) => ({ tools: [{ name: 'Bash', input: { command } }] })
const FREE = { agent: { type: 'inline', permission_mode: 'bypassPermissions' } }

describe.skipIf(process.platform !== 'linux')('limits of agents', () => {
  let model: DemoModel
  let server: TestServer
  beforeAll(async () => {
    model = await startDemoModel()
    server = await testServer(
      {
        agent_executable: undefined,
        demo_model: 'on',
        agent_max_memory_mb: 900,
        agent_max_processes: 200,
        agent_max_file_mb: 16,
        agent_max_open_files: 512,
        session_max_disk_mb: 64,
      },
      { demoModel: model, limitsEveryMs: 100, env: { ANTHROPIC_API_KEY: undefined } },
    )
  })
  afterAll(async () => {
    await server.stop()
    await model.close()
  })
  const ended = async (command: string) => {
    const { id } = await server.create(script([bash(command), { say: 'done' }]), FREE)
    const session = await server.idle(id)
    return { id, error: session.last_error as Record<string, unknown> | null }
  }
  const NODE = JSON.stringify(process.execPath)

  test('IS16 an agent that takes more memory or processes than it may is ended, its turn says why, and the session goes on', async () => {
    const big = `${NODE} -e 'const a = []; for (let i = 0; i < 12; i++) a.push(Buffer.alloc(100 << 20, 1)); setTimeout(() => {}, 60000)'`
    const [memory, processes] = await Promise.all([ended(big), ended('for i in $(seq 300); do sleep 60 & done; wait')])
    expect(memory.error).toMatchObject({ code: 'agent_limit', limit: 'memory', retry_status: { type: 'exhausted' } })
    expect(memory.error!.message).toMatch(/took \d+ MiB of memory .* may take 900 \(agent_max_memory_mb\)/)
    expect(processes.error).toMatchObject({ code: 'agent_limit', limit: 'processes', side_effect_possible: true })
    const [turn] = await server.turns(memory.id)
    expect([turn!.status, turn!.stop_reason]).toEqual(['failed', { type: 'retries_exhausted' }])
    await server.send(memory.id, script([{ say: 'on' }]))
    expect((await server.idle(memory.id)).result!.text).toBe('on')
  })

  test('IS17 a file larger than may be ends the write, and is told to the agent; files that may be open are bounded', async () => {
    const { id, error } = await ended('dd if=/dev/zero of=big bs=1M count=40 2>&1; ls -l big; ulimit -n; echo END')
    expect(error).toBeNull()
    const told = (await server.events(id)).find(({ type }) => type === 'agent.tool_result') as SessionEvent & object
    const said = JSON.stringify(told)
    expect(said).toMatch(/File (size limit exceeded|too large)/)
    expect(said).toContain(` ${16 * MIB} `)
    expect(said).toContain('\\n512\\n')
  })

  test('IS18 an agent whose session fills its disk is ended; the next one may remove what is too much, and not add to it', async () => {
    const full = await ended('for i in 1 2 3 4 5 6; do fallocate -l 15M f$i; done; sleep 60')
    expect(full.error).toMatchObject({ code: 'agent_limit', limit: 'disk' })
    expect(full.error!.message).toContain('may have 64 (session_max_disk_mb)')
    await server.send(full.id, script([bash('sleep 1; rm f*; sleep 1; echo clean'), { say: 'clean' }]))
    const clean = await server.idle(full.id)
    expect([clean.last_error, clean.result?.text]).toEqual([null, 'clean'])
  })

  test('IS19 limits that the machine cannot keep keep the server from starting; those of processes are by user where there is one', () => {
    expect(limitWords(NONE, 4, true)).toEqual([])
    expect(limitWords({ ...NONE, tasks: 100 }, 4, false)).toEqual([])
    expect(limitWords({ ...NONE, tasks: 1000 }, 4, true)).toEqual(['prlimit', '--nproc=4000:4000', '--'])
    expect(() => limitWords({ ...NONE, diskBytes: MIB }, 4, false, 'darwin')).toThrow('TROUPE_SESSION_MAX_DISK_MB')
    if (process.getuid?.() !== 0) return
    const module = new URL('../src/runner/agent-limits.ts', import.meta.url).href
    const file = join(server.folder, 'ask.mjs')
    writeFileSync(
      file,
      `import { limitWords } from ${JSON.stringify(module)}\ntry { limitWords(${JSON.stringify({ ...NONE, openFiles: 300 })}, 1, false) } catch (error) { console.log(error.name) }`,
    )
    const { stdout } = spawnSync(
      'prlimit',
      ['--nofile=200:200', '--', 'setpriv', '--bounding-set=-all', '--inh-caps=-all', '--', process.execPath, file],
      { encoding: 'utf8' },
    )
    expect(stdout).toBe('NoLimits\n')
    const limits = { ...NONE, diskBytes: 10 * MIB }
    expect(breachOf(limits, { disk: 11 * MIB, begun: 12 * MIB })).toBeNull()
    expect(breachOf(limits, { disk: 13 * MIB, begun: 12 * MIB })?.limit).toBe('disk')
  })
})
