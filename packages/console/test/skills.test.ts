import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { skillFiles } from '../src/lib/skill-files.ts'
import { mustSkip, seen, setStage, type Stage } from './support/browser.ts'

const HEAD = '---\nname: greet\ndescription: How people are greeted here\n---\nSay hello.'

test('U53 of a chosen folder its files are sent, without what systems leave in folders', () => {
  const chosen = ['greet/SKILL.md', 'greet/deep/a.txt', 'greet/.DS_Store', 'greet/.git/config', 'greet/Thumbs.db'].map(
    (path) => Object.assign(new File(['x'], 'x'), { webkitRelativePath: path }),
  )
  expect(skillFiles(chosen).map(({ path }) => path)).toEqual(['greet/SKILL.md', 'greet/deep/a.txt'])
})

describe.skipIf(mustSkip)('the page of skills', () => {
  let stage: Stage
  let folder: string
  beforeAll(async () => {
    stage = await setStage()
    folder = mkdtempSync(join(tmpdir(), 'troupe-skill-'))
  })
  afterAll(async () => {
    await stage?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test('U53 a folder is uploaded as a skill and as its next version, taken out, and deleted; another is refused with a reason', async () => {
    const skill = join(folder, 'greet')
    mkdirSync(join(skill, 'deep'), { recursive: true })
    writeFileSync(join(skill, 'SKILL.md'), HEAD)
    writeFileSync(join(skill, 'deep', 'names.txt'), 'Ada')
    const page = await stage.open('/skills')
    await page.getByText('A skill is a folder with SKILL.md at its top').waitFor()
    const upload = page.locator('[data-folder=""]')
    await upload.setInputFiles(join(skill, 'deep'))
    await page.getByText('There is no SKILL.md at the top of this folder').waitFor()
    await upload.setInputFiles(skill)
    const card = page.locator('[data-skill]')
    await card.getByText('How people are greeted here').waitFor()
    await card.getByRole('button', { name: '1 version' }).waitFor()
    writeFileSync(join(skill, 'SKILL.md'), HEAD.replace('here', 'in Osaka'))
    await card.locator('[data-folder]').setInputFiles(skill)
    await card.getByText('How people are greeted in Osaka').waitFor()
    await card.getByRole('button', { name: '2 versions' }).click()
    const coming = page.waitForEvent('download')
    await card.getByRole('link', { name: 'Download greet.zip' }).first().click()
    expect((await coming).suggestedFilename()).toBe('greet.zip')
    writeFileSync(join(skill, 'SKILL.md'), 'no head')
    await card.locator('[data-folder]').setInputFiles(skill)
    await card.getByRole('alert').waitFor()
    await seen(page, 'skills')
    await card.getByRole('button', { name: 'Delete' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
    await page.getByText('A skill is a folder with SKILL.md at its top').waitFor()
    expect(stage.troubles).toEqual([])
  })
})
