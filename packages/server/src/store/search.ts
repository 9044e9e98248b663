import { type ExpressionBuilder, sql as raw } from 'kysely'
import type { Tables } from './schema.ts'

/** Characters of what was asked last, and of what was answered, by which a session is found. */
const INDEXED_CHARS = 4_000
/** Sessions that are looked at for words: the newest of the workspace that have them. A word that all have costs no more. */
const MOST_FOUND = 10_000

/** The text of a session; `row` is a row of `sessions`. */
const textOf = (row: string): string => `
  coalesce(${row}.title, '') || char(10) || substr(${row}.prompt, -${INDEXED_CHARS}) || char(10) ||
  substr(coalesce(json_extract(${row}.result, '$.text'), ''), 1, ${INDEXED_CHARS})`

/**
 * Metadata by key and value, and the texts of sessions by three characters in a row, which finds words in any language.
 * Kept by triggers, so in one step with what they say; the texts themselves are not kept again. The numbers are a table
 * of their own, because those of rows may change when the file is rebuilt.
 */
export const SEARCH_MIGRATION = `
  create table session_metadata (
    workspace_id text not null,
    key text not null,
    value text not null,
    session_id text not null,
    primary key (workspace_id, key, value, session_id)
  ) without rowid;
  create index session_metadata_session on session_metadata (session_id);
  insert into session_metadata select s.workspace_id, m.key, m.value, s.id from sessions s, json_each(s.metadata) m;
  create trigger sessions_metadata_insert after insert on sessions when new.metadata <> '{}' begin
    insert into session_metadata select new.workspace_id, key, value, new.id from json_each(new.metadata);
  end;
  create trigger sessions_metadata_update after update of metadata on sessions when old.metadata <> new.metadata begin
    delete from session_metadata where session_id = old.id;
    insert into session_metadata select new.workspace_id, key, value, new.id from json_each(new.metadata);
  end;

  create table session_numbers (n integer primary key autoincrement, session_id text not null unique);
  create virtual table session_text using fts5(text, tokenize = 'trigram', content = '', contentless_delete = 1);
  insert into session_numbers (session_id) select id from sessions order by created_at, id;
  insert into session_text (rowid, text)
    select k.n, ${textOf('s')} from session_numbers k join sessions s on s.id = k.session_id;
  create trigger sessions_text_insert after insert on sessions begin
    insert into session_numbers (session_id) values (new.id);
    insert into session_text (rowid, text)
      values ((select n from session_numbers where session_id = new.id), ${textOf('new')});
  end;
  create trigger sessions_text_update after update of title, prompt, result on sessions
  when old.title is not new.title or old.prompt <> new.prompt or old.result is not new.result begin
    insert or replace into session_text (rowid, text)
      values ((select n from session_numbers where session_id = new.id), ${textOf('new')});
  end;
  create trigger sessions_search_delete after delete on sessions begin
    delete from session_metadata where session_id = old.id;
    delete from session_text where rowid = (select n from session_numbers where session_id = old.id);
    delete from session_numbers where session_id = old.id;
  end;
`

export interface SearchFilter {
  workspaceId: string
  /** Each pair must be there. */
  metadata?: [string, string][] | undefined
  /** Each must be in the texts; three characters or more. */
  words?: string[] | undefined
}

/** Conditions on `sessions`. */
export function searchWhere(
  _eb: ExpressionBuilder<Tables, 'sessions'>,
  { workspaceId, metadata, words }: SearchFilter,
) {
  const all = (metadata ?? []).map(
    ([key, value]) => raw<boolean>`sessions.id in (
      select session_id from session_metadata where workspace_id = ${workspaceId} and key = ${key} and value = ${value}
    )`,
  )
  if (!words || words.length === 0) return all
  // As words between quotes nothing of them is an operator.
  const match = words.map((word) => `"${word.replaceAll('"', '""')}"`).join(' AND ')
  return [
    ...all,
    raw<boolean>`sessions.id in (
      select s.id from session_text join session_numbers k on k.n = session_text.rowid join sessions s on s.id = k.session_id
      where session_text match ${match} and s.workspace_id = ${workspaceId} order by session_text.rowid desc limit ${MOST_FOUND}
    )`,
  ]
}
