CREATE TABLE sessions (
    id text primary key,
    status text not null,
    version integer not null,
    last_seq integer not null,
    epoch integer not null,
    holder text,
    lease_until integer,
    queued_at integer,
    current_turn_id text,
    last_turn_status text,
    turn_count integer not null,
    message_count integer not null,
    agent text not null,
    agent_id text not null,
    options text not null,
    cwd text not null,
    title text,
    metadata text not null,
    external_id text,
    prompt text not null,
    stop_reason text,
    stop_reason_type text,
    last_error text,
    result text,
    origin_result text,
    usage text not null,
    sdk_totals text not null,
    active_ms integer not null,
    started_at integer,
    ended_at integer,
    created_at integer not null,
    updated_at integer not null,
    archived_at integer
  , priority integer not null default 0, principal text not null default 'local', concurrency_key text, max_queue_ms integer, queue_key text
    generated always as (principal || char(31) || coalesce(concurrency_key, '')) virtual, cache_prefix text, workspace_id text not null default 'wrkspc_default');
insert into "sessions" ("id", "status", "version", "last_seq", "epoch", "holder", "lease_until", "queued_at", "current_turn_id", "last_turn_status", "turn_count", "message_count", "agent", "agent_id", "options", "cwd", "title", "metadata", "external_id", "prompt", "stop_reason", "stop_reason_type", "last_error", "result", "origin_result", "usage", "sdk_totals", "active_ms", "started_at", "ended_at", "created_at", "updated_at", "archived_at", "priority", "principal", "concurrency_key", "max_queue_ms", "cache_prefix", "workspace_id") values ('sesn_01m841hxzce00ry80rs48j9wby', 'idle', 4, 10, 1, NULL, NULL, NULL, NULL, 'completed', 1, 3, '{"type":"agent","id":"agent_01m841hxyye00bt3mfrje3qz8k","version":1,"name":"Released","description":null,"model":{"id":"claude-sonnet-4-5"},"system":null,"tools":[],"mcp_servers":[],"skills":[],"multiagent":null,"subagents":[],"execution_identity":{"type":"service_account"},"permission_mode":"default","allowed_tools":[],"disallowed_tools":[],"permission_rules":[]}', 'agent_01m841hxyye00bt3mfrje3qz8k', '{"env":{},"maxTurns":null,"turnTimeoutSeconds":null,"budgetCents":null,"ownWorkdir":true,"source":"native","approvals":{"holdSeconds":0,"timeoutSeconds":null,"onTimeout":"deny"},"recovery":"auto","rules":[],"modelSource":"configured"}', '/srv/troupe/data/sessions/01a20818-f7ec-7001-8f20-18c91124f17e/workdir', 'Talked', '{"kept":"yes"}', NULL, 'say the blue door', '{"type":"end_turn"}', 'end_turn', NULL, '{"turn_id":"turn_01m841hxzee00sbpbz1j8y6grf","text":"the blue door","structured":null,"is_error":false}', '{"session_id":"01a20818-f7ec-7001-8f20-18c91124f17e","num_turns":1,"duration_ms":1,"total_cost_usd":0,"usage":{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":0,"cache_creation_input_tokens":0},"result":"the blue door"}', '{"inputTokens":0,"outputTokens":5,"cacheReadTokens":0,"cacheCreationTokens":0,"cacheCreation1hTokens":0,"costUsd":0,"unreportedRequests":0}', '{"models":{"fake":{"inputTokens":0,"outputTokens":5,"cacheReadTokens":0,"cacheCreationTokens":0,"cacheCreation1hTokens":0,"costUsd":0,"guessed":false}}}', 72, 1795432183805, 1795432183877, 1795432183790, 1795432183877, NULL, 0, 'local', NULL, NULL, NULL, 'wrkspc_default');
insert into "sessions" ("id", "status", "version", "last_seq", "epoch", "holder", "lease_until", "queued_at", "current_turn_id", "last_turn_status", "turn_count", "message_count", "agent", "agent_id", "options", "cwd", "title", "metadata", "external_id", "prompt", "stop_reason", "stop_reason_type", "last_error", "result", "origin_result", "usage", "sdk_totals", "active_ms", "started_at", "ended_at", "created_at", "updated_at", "archived_at", "priority", "principal", "concurrency_key", "max_queue_ms", "cache_prefix", "workspace_id") values ('sesn_01m841hy2ee00vj1pe16nmgwka', 'idle', 4, 11, 1, NULL, NULL, NULL, NULL, 'failed', 1, 2, '{"type":"agent","id":"agent_default","version":1,"name":"Claude","description":null,"model":{"id":"default"},"system":null,"tools":[],"mcp_servers":[],"skills":[],"multiagent":null,"subagents":[],"execution_identity":{"type":"service_account"},"permission_mode":"default","allowed_tools":[],"disallowed_tools":[],"permission_rules":[]}', 'agent_default', '{"env":{},"maxTurns":null,"turnTimeoutSeconds":null,"budgetCents":null,"ownWorkdir":true,"source":"native","approvals":{"holdSeconds":0,"timeoutSeconds":null,"onTimeout":"deny"},"recovery":"auto","rules":[],"modelSource":"configured"}', '/srv/troupe/data/sessions/01a20818-f84e-7001-b906-ce09ab48726a/workdir', 'Crashed', '{}', NULL, 'crash', '{"type":"retries_exhausted"}', 'retries_exhausted', '{"type":"unknown_error","code":"process_crashed","message":"The agent process exited with code 7 before the turn was done. It last said: something dreadful","retry_status":{"type":"exhausted"},"exit_code":7,"signal":null,"stderr_tail":"something dreadful","side_effect_possible":true}', '{"turn_id":"turn_01m841hy2ke00saf5z1qhrd6cq","text":null,"structured":null,"is_error":true}', NULL, '{"inputTokens":0,"outputTokens":0,"cacheReadTokens":0,"cacheCreationTokens":0,"cacheCreation1hTokens":0,"costUsd":0,"unreportedRequests":1}', '{"models":{}}', 50, 1795432183898, 1795432183948, 1795432183891, 1795432183948, NULL, 0, 'local', NULL, NULL, NULL, 'wrkspc_default');
insert into "sessions" ("id", "status", "version", "last_seq", "epoch", "holder", "lease_until", "queued_at", "current_turn_id", "last_turn_status", "turn_count", "message_count", "agent", "agent_id", "options", "cwd", "title", "metadata", "external_id", "prompt", "stop_reason", "stop_reason_type", "last_error", "result", "origin_result", "usage", "sdk_totals", "active_ms", "started_at", "ended_at", "created_at", "updated_at", "archived_at", "priority", "principal", "concurrency_key", "max_queue_ms", "cache_prefix", "workspace_id") values ('sesn_01m841hy4me00bstfk8k7h8hv0', 'idle', 1, 1, 0, NULL, NULL, NULL, NULL, NULL, 0, 0, '{"type":"agent","id":"agent_default","version":1,"name":"Claude","description":null,"model":{"id":"default"},"system":null,"tools":[],"mcp_servers":[],"skills":[],"multiagent":null,"subagents":[],"execution_identity":{"type":"service_account"},"permission_mode":"default","allowed_tools":[],"disallowed_tools":[],"permission_rules":[]}', 'agent_default', '{"env":{},"maxTurns":null,"turnTimeoutSeconds":null,"budgetCents":null,"ownWorkdir":true,"source":"native","approvals":{"holdSeconds":0,"timeoutSeconds":null,"onTimeout":"deny"},"recovery":"auto","rules":[],"modelSource":"configured"}', '/srv/troupe/data/sessions/01a20818-f894-7000-bce9-f344cf144760/workdir', 'New', '{}', 'mine', '', NULL, NULL, NULL, NULL, NULL, '{"inputTokens":0,"outputTokens":0,"cacheReadTokens":0,"cacheCreationTokens":0,"cacheCreation1hTokens":0,"costUsd":0,"unreportedRequests":0}', '{}', 0, NULL, NULL, 1795432183956, 1795432183956, NULL, 0, 'local', NULL, NULL, NULL, 'wrkspc_default');
CREATE TABLE turns (
    id text primary key,
    session_id text not null,
    number integer not null,
    status text not null,
    input_event_ids text not null,
    output text,
    stop_reason text,
    error text,
    usage text,
    model_requests integer,
    created_at integer not null,
    started_at integer,
    ended_at integer
  , position real not null default 0, active_ms integer not null default 0, running_since integer, resume text, recoveries text not null default '[]', cache text);
insert into "turns" ("id", "session_id", "number", "status", "input_event_ids", "output", "stop_reason", "error", "usage", "model_requests", "created_at", "started_at", "ended_at", "position", "active_ms", "running_since", "resume", "recoveries", "cache") values ('turn_01m841hxzee00sbpbz1j8y6grf', 'sesn_01m841hxzce00ry80rs48j9wby', 1, 'completed', '["sevt_01m841hxzce0083wdk700nmzdn"]', '{"text":"the blue door","structured":null}', '{"type":"end_turn"}', NULL, '{"inputTokens":0,"outputTokens":5,"cacheReadTokens":0,"cacheCreationTokens":0,"cacheCreation1hTokens":0,"costUsd":0,"unreportedRequests":0}', 1, 1795432183790, 1795432183805, 1795432183877, 1.0, 72, NULL, NULL, '[]', NULL);
insert into "turns" ("id", "session_id", "number", "status", "input_event_ids", "output", "stop_reason", "error", "usage", "model_requests", "created_at", "started_at", "ended_at", "position", "active_ms", "running_since", "resume", "recoveries", "cache") values ('turn_01m841hy2ke00saf5z1qhrd6cq', 'sesn_01m841hy2ee00vj1pe16nmgwka', 1, 'failed', '["sevt_01m841hy2ee00anekh2knn5enc"]', NULL, '{"type":"retries_exhausted"}', '{"type":"unknown_error","code":"process_crashed","message":"The agent process exited with code 7 before the turn was done. It last said: something dreadful","retry_status":{"type":"exhausted"},"exit_code":7,"signal":null,"stderr_tail":"something dreadful","side_effect_possible":true}', '{"inputTokens":0,"outputTokens":0,"cacheReadTokens":0,"cacheCreationTokens":0,"cacheCreation1hTokens":0,"costUsd":0,"unreportedRequests":1}', 1, 1795432183891, 1795432183898, 1795432183948, 1.0, 50, NULL, NULL, '[]', NULL);
CREATE TABLE events (
    session_id text not null,
    seq integer not null,
    id text not null,
    repeats integer,
    type text not null,
    turn_id text,
    thread_id text,
    created_at integer not null,
    processed_at integer,
    body text not null,
    primary key (session_id, seq)
  ) without rowid;
insert into "events" ("session_id", "seq", "id", "repeats", "type", "turn_id", "thread_id", "created_at", "processed_at", "body") values ('sesn_01m841hxzce00ry80rs48j9wby', 1, 'sevt_01m841hxzee009y7g4e0er212h', NULL, 'session.created', NULL, NULL, 1795432183790, 1795432183790, '{"agent_id":"agent_01m841hxyye00bt3mfrje3qz8k","model_source":"configured"}');
insert into "events" ("session_id", "seq", "id", "repeats", "type", "turn_id", "thread_id", "created_at", "processed_at", "body") values ('sesn_01m841hxzce00ry80rs48j9wby', 2, 'sevt_01m841hxzce0083wdk700nmzdn', NULL, 'user.message', 'turn_01m841hxzee00sbpbz1j8y6grf', NULL, 1795432183790, NULL, '{"content":[{"type":"text","text":"say the blue door"}]}');
insert into "events" ("session_id", "seq", "id", "repeats", "type", "turn_id", "thread_id", "created_at", "processed_at", "body") values ('sesn_01m841hxzce00ry80rs48j9wby', 3, 'sevt_01m841hxzee01apgt3g73ksgay', NULL, 'session.status_running', 'turn_01m841hxzee00sbpbz1j8y6grf', NULL, 1795432183790, 1795432183790, '{}');
insert into "events" ("session_id", "seq", "id", "repeats", "type", "turn_id", "thread_id", "created_at", "processed_at", "body") values ('sesn_01m841hxzce00ry80rs48j9wby', 4, 'sevt_01m841hxzee01vhy1b3nepqv2z', NULL, 'session.queued', 'turn_01m841hxzee00sbpbz1j8y6grf', NULL, 1795432183790, 1795432183790, '{}');
insert into "events" ("session_id", "seq", "id", "repeats", "type", "turn_id", "thread_id", "created_at", "processed_at", "body") values ('sesn_01m841hxzce00ry80rs48j9wby', 5, 'sevt_01m841hxzxe00atzeszh2k3vy9', NULL, 'turn.started', 'turn_01m841hxzee00sbpbz1j8y6grf', NULL, 1795432183805, 1795432183805, '{"number":1,"input_event_ids":["sevt_01m841hxzce0083wdk700nmzdn"]}');
insert into "events" ("session_id", "seq", "id", "repeats", "type", "turn_id", "thread_id", "created_at", "processed_at", "body") values ('sesn_01m841hxzce00ry80rs48j9wby', 6, 'sevt_01m841hxzce0083wdk700nmzdn', 2, 'user.message', 'turn_01m841hxzee00sbpbz1j8y6grf', NULL, 1795432183805, 1795432183805, '{"content":[{"type":"text","text":"say the blue door"}]}');
insert into "events" ("session_id", "seq", "id", "repeats", "type", "turn_id", "thread_id", "created_at", "processed_at", "body") values ('sesn_01m841hxzce00ry80rs48j9wby', 7, 'sevt_01m841hy23e00a8cxg61ytf76r', NULL, 'agent.message', 'turn_01m841hxzee00sbpbz1j8y6grf', NULL, 1795432183875, 1795432183875, '{"content":[{"type":"text","text":"the blue door"}]}');
insert into "events" ("session_id", "seq", "id", "repeats", "type", "turn_id", "thread_id", "created_at", "processed_at", "body") values ('sesn_01m841hxzce00ry80rs48j9wby', 8, 'sevt_01m841hy26e00apecreqkc4mjq', NULL, 'turn.completed', 'turn_01m841hxzee00sbpbz1j8y6grf', NULL, 1795432183877, 1795432183877, '{"stop_reason":{"type":"end_turn"},"error":null,"output":{"text":"the blue door","structured":null},"usage":{"input_tokens":0,"output_tokens":5,"cache_read_input_tokens":0,"cache_creation_input_tokens":0,"cache_creation":{"ephemeral_1h_input_tokens":0,"ephemeral_5m_input_tokens":0},"list_cost":{"amount":"0","currency":"USD"},"cost_usd":0,"unreported_requests":0,"active_seconds":0.072},"cache":null,"model_requests":1}');
insert into "events" ("session_id", "seq", "id", "repeats", "type", "turn_id", "thread_id", "created_at", "processed_at", "body") values ('sesn_01m841hxzce00ry80rs48j9wby', 9, 'sevt_01m841hy26e00v4bztrx0ehm8e', NULL, 'session.usage', 'turn_01m841hxzee00sbpbz1j8y6grf', NULL, 1795432183877, 1795432183877, '{"usage":{"input_tokens":0,"output_tokens":5,"cache_read_input_tokens":0,"cache_creation_input_tokens":0,"cache_creation":{"ephemeral_1h_input_tokens":0,"ephemeral_5m_input_tokens":0},"list_cost":{"amount":"0","currency":"USD"},"cost_usd":0,"unreported_requests":0,"active_seconds":0.072},"budget":null}');
insert into "events" ("session_id", "seq", "id", "repeats", "type", "turn_id", "thread_id", "created_at", "processed_at", "body") values ('sesn_01m841hxzce00ry80rs48j9wby', 10, 'sevt_01m841hy26e018tabaxbdggyzg', NULL, 'session.status_idle', 'turn_01m841hxzee00sbpbz1j8y6grf', NULL, 1795432183877, 1795432183877, '{"stop_reason":{"type":"end_turn"},"stop_details":null}');
insert into "events" ("session_id", "seq", "id", "repeats", "type", "turn_id", "thread_id", "created_at", "processed_at", "body") values ('sesn_01m841hy2ee00vj1pe16nmgwka', 1, 'sevt_01m841hy2ke008bj3qz91ewwat', NULL, 'session.created', NULL, NULL, 1795432183891, 1795432183891, '{"agent_id":"agent_default","model_source":"configured"}');
insert into "events" ("session_id", "seq", "id", "repeats", "type", "turn_id", "thread_id", "created_at", "processed_at", "body") values ('sesn_01m841hy2ee00vj1pe16nmgwka', 2, 'sevt_01m841hy2ee00anekh2knn5enc', NULL, 'user.message', 'turn_01m841hy2ke00saf5z1qhrd6cq', NULL, 1795432183891, NULL, '{"content":[{"type":"text","text":"crash"}]}');
insert into "events" ("session_id", "seq", "id", "repeats", "type", "turn_id", "thread_id", "created_at", "processed_at", "body") values ('sesn_01m841hy2ee00vj1pe16nmgwka', 3, 'sevt_01m841hy2ke01bz7bgmb8v1n66', NULL, 'session.status_running', 'turn_01m841hy2ke00saf5z1qhrd6cq', NULL, 1795432183891, 1795432183891, '{}');
insert into "events" ("session_id", "seq", "id", "repeats", "type", "turn_id", "thread_id", "created_at", "processed_at", "body") values ('sesn_01m841hy2ee00vj1pe16nmgwka', 4, 'sevt_01m841hy2ke01sfym8a65c4whs', NULL, 'session.queued', 'turn_01m841hy2ke00saf5z1qhrd6cq', NULL, 1795432183891, 1795432183891, '{}');
insert into "events" ("session_id", "seq", "id", "repeats", "type", "turn_id", "thread_id", "created_at", "processed_at", "body") values ('sesn_01m841hy2ee00vj1pe16nmgwka', 5, 'sevt_01m841hy2te00bz247wqv6zq42', NULL, 'turn.started', 'turn_01m841hy2ke00saf5z1qhrd6cq', NULL, 1795432183898, 1795432183898, '{"number":1,"input_event_ids":["sevt_01m841hy2ee00anekh2knn5enc"]}');
insert into "events" ("session_id", "seq", "id", "repeats", "type", "turn_id", "thread_id", "created_at", "processed_at", "body") values ('sesn_01m841hy2ee00vj1pe16nmgwka', 6, 'sevt_01m841hy2ee00anekh2knn5enc', 2, 'user.message', 'turn_01m841hy2ke00saf5z1qhrd6cq', NULL, 1795432183898, 1795432183898, '{"content":[{"type":"text","text":"crash"}]}');
insert into "events" ("session_id", "seq", "id", "repeats", "type", "turn_id", "thread_id", "created_at", "processed_at", "body") values ('sesn_01m841hy2ee00vj1pe16nmgwka', 7, 'sevt_01m841hy46e00arma7z82svqq1', NULL, 'agent.message', 'turn_01m841hy2ke00saf5z1qhrd6cq', NULL, 1795432183942, 1795432183942, '{"content":[{"type":"text","text":"about to crash"}]}');
insert into "events" ("session_id", "seq", "id", "repeats", "type", "turn_id", "thread_id", "created_at", "processed_at", "body") values ('sesn_01m841hy2ee00vj1pe16nmgwka', 8, 'sevt_01m841hy4de00a8mckex81d3g2', NULL, 'session.error', 'turn_01m841hy2ke00saf5z1qhrd6cq', NULL, 1795432183948, 1795432183948, '{"error":{"type":"unknown_error","code":"process_crashed","message":"The agent process exited with code 7 before the turn was done. It last said: something dreadful","retry_status":{"type":"exhausted"},"exit_code":7,"signal":null,"stderr_tail":"something dreadful","side_effect_possible":true}}');
insert into "events" ("session_id", "seq", "id", "repeats", "type", "turn_id", "thread_id", "created_at", "processed_at", "body") values ('sesn_01m841hy2ee00vj1pe16nmgwka', 9, 'sevt_01m841hy4de00rbqqfmec973rw', NULL, 'turn.failed', 'turn_01m841hy2ke00saf5z1qhrd6cq', NULL, 1795432183948, 1795432183948, '{"stop_reason":{"type":"retries_exhausted"},"error":{"type":"unknown_error","code":"process_crashed","message":"The agent process exited with code 7 before the turn was done. It last said: something dreadful","retry_status":{"type":"exhausted"},"exit_code":7,"signal":null,"stderr_tail":"something dreadful","side_effect_possible":true},"output":{"text":null,"structured":null},"usage":{"input_tokens":0,"output_tokens":0,"cache_read_input_tokens":0,"cache_creation_input_tokens":0,"cache_creation":{"ephemeral_1h_input_tokens":0,"ephemeral_5m_input_tokens":0},"list_cost":{"amount":"0","currency":"USD"},"cost_usd":0,"unreported_requests":1,"active_seconds":0.05},"cache":null,"model_requests":1}');
insert into "events" ("session_id", "seq", "id", "repeats", "type", "turn_id", "thread_id", "created_at", "processed_at", "body") values ('sesn_01m841hy2ee00vj1pe16nmgwka', 10, 'sevt_01m841hy4de018kmhc18t95a18', NULL, 'session.usage', 'turn_01m841hy2ke00saf5z1qhrd6cq', NULL, 1795432183948, 1795432183948, '{"usage":{"input_tokens":0,"output_tokens":0,"cache_read_input_tokens":0,"cache_creation_input_tokens":0,"cache_creation":{"ephemeral_1h_input_tokens":0,"ephemeral_5m_input_tokens":0},"list_cost":{"amount":"0","currency":"USD"},"cost_usd":0,"unreported_requests":1,"active_seconds":0.05},"budget":null}');
insert into "events" ("session_id", "seq", "id", "repeats", "type", "turn_id", "thread_id", "created_at", "processed_at", "body") values ('sesn_01m841hy2ee00vj1pe16nmgwka', 11, 'sevt_01m841hy4de01vshzkzevcm21y', NULL, 'session.status_idle', 'turn_01m841hy2ke00saf5z1qhrd6cq', NULL, 1795432183948, 1795432183948, '{"stop_reason":{"type":"retries_exhausted"},"stop_details":null}');
insert into "events" ("session_id", "seq", "id", "repeats", "type", "turn_id", "thread_id", "created_at", "processed_at", "body") values ('sesn_01m841hy4me00bstfk8k7h8hv0', 1, 'sevt_01m841hy4me00tvtbzmj04b0ht', NULL, 'session.created', NULL, NULL, 1795432183956, 1795432183956, '{"agent_id":"agent_default","model_source":"configured"}');
CREATE TABLE messages (
    session_id text not null,
    n integer not null,
    turn_id text,
    created_at integer not null,
    body text not null,
    primary key (session_id, n)
  );
insert into "messages" ("session_id", "n", "turn_id", "created_at", "body") values ('sesn_01m841hxzce00ry80rs48j9wby', 1, 'turn_01m841hxzee00sbpbz1j8y6grf', 1795432183873, '{"type":"system","subtype":"init","cwd":"/srv/troupe/data/sessions/01a20818-f7ec-7001-8f20-18c91124f17e/workdir","tools":[],"model":"fake","permissionMode":"default","apiKeySource":"none","mcp_servers":[],"slash_commands":[],"output_style":"default","agents":[],"skills":[],"plugins":[],"claude_code_version":"0","uuid":"bfbe8c1c-f7dc-4300-a76a-78231731f9dd","session_id":"01a20818-f7ec-7001-8f20-18c91124f17e"}');
insert into "messages" ("session_id", "n", "turn_id", "created_at", "body") values ('sesn_01m841hxzce00ry80rs48j9wby', 2, 'turn_01m841hxzee00sbpbz1j8y6grf', 1795432183875, '{"type":"assistant","message":{"id":"msg_d4e9c180-7c88-4e8f-9e28-2417eb5cfd72","type":"message","role":"assistant","model":"fake","content":[{"type":"text","text":"the blue door"}],"stop_reason":null,"usage":{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":0,"cache_creation_input_tokens":0}},"parent_tool_use_id":null,"uuid":"6f37bc74-2fbb-419b-9782-0d08d8750daa","session_id":"01a20818-f7ec-7001-8f20-18c91124f17e"}');
insert into "messages" ("session_id", "n", "turn_id", "created_at", "body") values ('sesn_01m841hxzce00ry80rs48j9wby', 3, 'turn_01m841hxzee00sbpbz1j8y6grf', 1795432183877, '{"type":"result","subtype":"success","is_error":false,"duration_ms":1,"duration_api_ms":1,"num_turns":1,"result":"the blue door","stop_reason":"end_turn","terminal_reason":"completed","total_cost_usd":0,"usage":{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":0,"cache_creation_input_tokens":0},"modelUsage":{"fake":{"inputTokens":0,"outputTokens":5,"cacheReadInputTokens":0,"cacheCreationInputTokens":0,"webSearchRequests":0,"costUSD":0,"contextWindow":1,"maxOutputTokens":1}},"permission_denials":[],"uuid":"1a1c8277-b2d8-4685-af24-ad4f8c710029","session_id":"01a20818-f7ec-7001-8f20-18c91124f17e"}');
insert into "messages" ("session_id", "n", "turn_id", "created_at", "body") values ('sesn_01m841hy2ee00vj1pe16nmgwka', 1, 'turn_01m841hy2ke00saf5z1qhrd6cq', 1795432183941, '{"type":"system","subtype":"init","cwd":"/srv/troupe/data/sessions/01a20818-f84e-7001-b906-ce09ab48726a/workdir","tools":[],"model":"fake","permissionMode":"default","apiKeySource":"none","mcp_servers":[],"slash_commands":[],"output_style":"default","agents":[],"skills":[],"plugins":[],"claude_code_version":"0","uuid":"47375f1e-7794-45f3-baba-b4f98cbf5e68","session_id":"01a20818-f84e-7001-b906-ce09ab48726a"}');
insert into "messages" ("session_id", "n", "turn_id", "created_at", "body") values ('sesn_01m841hy2ee00vj1pe16nmgwka', 2, 'turn_01m841hy2ke00saf5z1qhrd6cq', 1795432183942, '{"type":"assistant","message":{"id":"msg_690fcd68-fec6-4805-bc1e-669f4c5dcd54","type":"message","role":"assistant","model":"fake","content":[{"type":"text","text":"about to crash"}],"stop_reason":null,"usage":{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":0,"cache_creation_input_tokens":0}},"parent_tool_use_id":null,"uuid":"93f2de07-8158-4e5c-aa94-0c6b1cd4965e","session_id":"01a20818-f84e-7001-b906-ce09ab48726a"}');
CREATE TABLE transcript (
    session_id text not null,
    subpath text not null,
    n integer not null,
    uuid text,
    body text not null,
    primary key (session_id, subpath, n)
  );
CREATE TABLE tombstones (id text primary key, deleted_at integer not null, workspace_id text not null default 'wrkspc_default') without rowid;
CREATE TABLE idempotency (
    principal text not null,
    key text not null,
    fingerprint text not null,
    state text not null,
    effect text,
    status integer,
    body text,
    created_at integer not null,
    primary key (principal, key)
  );
CREATE TABLE approvals (
    id text primary key,
    session_id text not null,
    turn_id text not null,
    thread_id text,
    kind text not null,
    tool_name text not null,
    input text not null,
    sdk_tool_use_id text not null,
    reason text not null,
    rule text,
    status text not null,
    open integer not null,
    held integer not null,
    decision text,
    actor text,
    verdict_event_id text,
    created_at integer not null,
    expires_at integer,
    on_timeout text not null,
    decided_at integer,
    consumed_at integer
  );
CREATE TABLE grants (
    id text primary key,
    session_id text,
    agent_id text not null,
    rule text not null,
    actor text,
    created_at integer not null
  , workspace_id text not null default 'wrkspc_default');
CREATE TABLE "outbox" (
    n integer primary key autoincrement,
    session_id text not null,
    seq integer not null,
    type text not null,
    created_at integer not null,
    event_id text not null default '',
    turn_id text,
    thread_id text
  , workspace_id text not null default 'wrkspc_default');
insert into "outbox" ("n", "session_id", "seq", "type", "created_at", "event_id", "turn_id", "thread_id", "workspace_id") values (1, 'sesn_01m841hxzce00ry80rs48j9wby', 1, 'session.created', 1795432183790, 'sevt_01m841hxzee009y7g4e0er212h', NULL, NULL, 'wrkspc_default');
insert into "outbox" ("n", "session_id", "seq", "type", "created_at", "event_id", "turn_id", "thread_id", "workspace_id") values (2, 'sesn_01m841hxzce00ry80rs48j9wby', 3, 'session.status_running', 1795432183790, 'sevt_01m841hxzee01apgt3g73ksgay', 'turn_01m841hxzee00sbpbz1j8y6grf', NULL, 'wrkspc_default');
insert into "outbox" ("n", "session_id", "seq", "type", "created_at", "event_id", "turn_id", "thread_id", "workspace_id") values (3, 'sesn_01m841hxzce00ry80rs48j9wby', 5, 'turn.started', 1795432183805, 'sevt_01m841hxzxe00atzeszh2k3vy9', 'turn_01m841hxzee00sbpbz1j8y6grf', NULL, 'wrkspc_default');
insert into "outbox" ("n", "session_id", "seq", "type", "created_at", "event_id", "turn_id", "thread_id", "workspace_id") values (4, 'sesn_01m841hxzce00ry80rs48j9wby', 8, 'turn.completed', 1795432183877, 'sevt_01m841hy26e00apecreqkc4mjq', 'turn_01m841hxzee00sbpbz1j8y6grf', NULL, 'wrkspc_default');
insert into "outbox" ("n", "session_id", "seq", "type", "created_at", "event_id", "turn_id", "thread_id", "workspace_id") values (5, 'sesn_01m841hxzce00ry80rs48j9wby', 10, 'session.status_idle', 1795432183877, 'sevt_01m841hy26e018tabaxbdggyzg', 'turn_01m841hxzee00sbpbz1j8y6grf', NULL, 'wrkspc_default');
insert into "outbox" ("n", "session_id", "seq", "type", "created_at", "event_id", "turn_id", "thread_id", "workspace_id") values (6, 'sesn_01m841hy2ee00vj1pe16nmgwka', 1, 'session.created', 1795432183891, 'sevt_01m841hy2ke008bj3qz91ewwat', NULL, NULL, 'wrkspc_default');
insert into "outbox" ("n", "session_id", "seq", "type", "created_at", "event_id", "turn_id", "thread_id", "workspace_id") values (7, 'sesn_01m841hy2ee00vj1pe16nmgwka', 3, 'session.status_running', 1795432183891, 'sevt_01m841hy2ke01bz7bgmb8v1n66', 'turn_01m841hy2ke00saf5z1qhrd6cq', NULL, 'wrkspc_default');
insert into "outbox" ("n", "session_id", "seq", "type", "created_at", "event_id", "turn_id", "thread_id", "workspace_id") values (8, 'sesn_01m841hy2ee00vj1pe16nmgwka', 5, 'turn.started', 1795432183898, 'sevt_01m841hy2te00bz247wqv6zq42', 'turn_01m841hy2ke00saf5z1qhrd6cq', NULL, 'wrkspc_default');
insert into "outbox" ("n", "session_id", "seq", "type", "created_at", "event_id", "turn_id", "thread_id", "workspace_id") values (9, 'sesn_01m841hy2ee00vj1pe16nmgwka', 8, 'session.error', 1795432183948, 'sevt_01m841hy4de00a8mckex81d3g2', 'turn_01m841hy2ke00saf5z1qhrd6cq', NULL, 'wrkspc_default');
insert into "outbox" ("n", "session_id", "seq", "type", "created_at", "event_id", "turn_id", "thread_id", "workspace_id") values (10, 'sesn_01m841hy2ee00vj1pe16nmgwka', 9, 'turn.failed', 1795432183948, 'sevt_01m841hy4de00rbqqfmec973rw', 'turn_01m841hy2ke00saf5z1qhrd6cq', NULL, 'wrkspc_default');
insert into "outbox" ("n", "session_id", "seq", "type", "created_at", "event_id", "turn_id", "thread_id", "workspace_id") values (11, 'sesn_01m841hy2ee00vj1pe16nmgwka', 11, 'session.status_idle', 1795432183948, 'sevt_01m841hy4de01vshzkzevcm21y', 'turn_01m841hy2ke00saf5z1qhrd6cq', NULL, 'wrkspc_default');
insert into "outbox" ("n", "session_id", "seq", "type", "created_at", "event_id", "turn_id", "thread_id", "workspace_id") values (12, 'sesn_01m841hy4me00bstfk8k7h8hv0', 1, 'session.created', 1795432183956, 'sevt_01m841hy4me00tvtbzmj04b0ht', NULL, NULL, 'wrkspc_default');
insert into "sqlite_sequence" ("name", "seq") values ('outbox', 12);
CREATE TABLE webhook_cursor (only integer primary key check (only = 1), n integer not null);
insert into "webhook_cursor" ("only", "n") values (1, 12);
CREATE TABLE webhook_endpoints (
    id text primary key,
    url text not null,
    description text,
    types text not null,
    names text not null,
    include text not null,
    status text not null,
    disabled_reason text,
    disabled_at integer,
    secret text not null,
    previous_secret text,
    previous_until integer,
    after_n integer not null,
    enabled_at integer not null,
    last_delivered_at integer,
    created_at integer not null,
    updated_at integer not null
  , workspace_id text not null default 'wrkspc_default');
insert into "webhook_endpoints" ("id", "url", "description", "types", "names", "include", "status", "disabled_reason", "disabled_at", "secret", "previous_secret", "previous_until", "after_n", "enabled_at", "last_delivered_at", "created_at", "updated_at", "workspace_id") values ('whk_01m841hy4re008cqxyycdbqm9x', 'https://example.com/hook', NULL, '["*"]', 'stream', '[]', 'enabled', NULL, NULL, 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=', NULL, NULL, 12, 1795432183960, NULL, 1795432183960, 1795432183960, 'wrkspc_default');
CREATE TABLE webhook_deliveries (
    id text primary key,
    endpoint_id text not null,
    event_id text not null,
    type text not null,
    session_id text not null,
    turn_id text,
    thread_id text,
    seq integer not null,
    occurred_at integer not null,
    status text not null,
    attempt_count integer not null,
    claim integer not null,
    claimed_by text,
    next_at integer,
    attempts text not null,
    response_body text,
    created_at integer not null,
    queued_at integer not null,
    delivered_at integer
  );
CREATE TABLE queue_lanes (
    queue_key text not null,
    priority integer not null,
    named integer not null,
    running integer not null,
    head_at integer not null,
    primary key (queue_key, priority)
  ) without rowid;
CREATE TABLE queue_totals (one integer primary key check (one = 1), waiting integer not null, changes integer not null);
insert into "queue_totals" ("one", "waiting", "changes") values (1, 0, 6);
CREATE TABLE ledger (
    turn_id text not null,
    model text not null,
    day text not null,
    session_id text not null,
    agent_id text not null,
    principal text not null,
    metadata text,
    at integer not null,
    input_tokens integer not null,
    output_tokens integer not null,
    cache_read_tokens integer not null,
    cache_creation_tokens integer not null,
    cache_creation_1h_tokens integer not null,
    cost_nano integer not null,
    guessed_nano integer not null,
    model_requests integer not null,
    unreported_requests integer not null, workspace_id text not null default 'wrkspc_default',
    primary key (turn_id, model, day)
  ) without rowid;
insert into "ledger" ("turn_id", "model", "day", "session_id", "agent_id", "principal", "metadata", "at", "input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens", "cache_creation_1h_tokens", "cost_nano", "guessed_nano", "model_requests", "unreported_requests", "workspace_id") values ('turn_01m841hxzee00sbpbz1j8y6grf', 'fake', '2026-11-23', 'sesn_01m841hxzce00ry80rs48j9wby', 'agent_01m841hxyye00bt3mfrje3qz8k', 'local', '{"kept":"yes"}', 1795432183877, 0, 5, 0, 0, 0, 0, 0, 1, 0, 'wrkspc_default');
insert into "ledger" ("turn_id", "model", "day", "session_id", "agent_id", "principal", "metadata", "at", "input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens", "cache_creation_1h_tokens", "cost_nano", "guessed_nano", "model_requests", "unreported_requests", "workspace_id") values ('turn_01m841hy2ke00saf5z1qhrd6cq', 'fake', '2026-11-23', 'sesn_01m841hy2ee00vj1pe16nmgwka', 'agent_default', 'local', NULL, 1795432183948, 0, 0, 0, 0, 0, 0, 0, 1, 1, 'wrkspc_default');
CREATE TABLE threads (
    id text primary key,
    session_id text not null,
    parent_id text,
    turn_id text,
    tool_use_id text,
    task_id text not null,
    agent_name text not null,
    description text not null,
    model text,
    background integer not null,
    status text not null,
    stop_reason text,
    summary text,
    usage text,
    active_ms integer not null,
    running_since integer,
    created_at integer not null,
    updated_at integer not null,
    archived_at integer
  );
CREATE TABLE agents (
    id text primary key,
    workspace_id text not null,
    newest integer not null,
    source text not null,
    file text,
    content_hash text,
    created_at integer not null,
    archived_at integer
  );
insert into "agents" ("id", "workspace_id", "newest", "source", "file", "content_hash", "created_at", "archived_at") values ('agent_01m841hxyye00bt3mfrje3qz8k', 'wrkspc_default', 1, 'api', NULL, NULL, 1795432183774, NULL);
CREATE TABLE agent_versions (
    agent_id text not null,
    version integer not null,
    definition text not null,
    created_at integer not null,
    primary key (agent_id, version)
  ) without rowid;
insert into "agent_versions" ("agent_id", "version", "definition", "created_at") values ('agent_01m841hxyye00bt3mfrje3qz8k', 1, '{"name":"Released","description":null,"model":{"id":"claude-sonnet-4-5"},"system":null,"tools":[],"mcp_servers":[],"skills":[],"multiagent":null,"subagents":[],"execution_identity":{"type":"service_account"},"permission_mode":"default","allowed_tools":[],"disallowed_tools":[],"permission_rules":[],"metadata":{}}', 1795432183774);
CREATE TABLE snapshots (
    session_id text not null,
    n integer not null,
    turn_id text,
    moment text not null,
    seq integer not null,
    commit_id text,
    problem text,
    files integer not null,
    bytes integer not null,
    ms integer not null,
    at integer not null,
    primary key (session_id, n)
  ) without rowid;
insert into "snapshots" ("session_id", "n", "turn_id", "moment", "seq", "commit_id", "problem", "files", "bytes", "ms", "at") values ('sesn_01m841hxzce00ry80rs48j9wby', 1, 'turn_01m841hxzee00sbpbz1j8y6grf', 'before', 6, NULL, NULL, 0, 0, 1, 1795432183811);
insert into "snapshots" ("session_id", "n", "turn_id", "moment", "seq", "commit_id", "problem", "files", "bytes", "ms", "at") values ('sesn_01m841hxzce00ry80rs48j9wby', 2, 'turn_01m841hxzee00sbpbz1j8y6grf', 'after', 10, NULL, NULL, 0, 0, 1, 1795432183881);
insert into "snapshots" ("session_id", "n", "turn_id", "moment", "seq", "commit_id", "problem", "files", "bytes", "ms", "at") values ('sesn_01m841hy2ee00vj1pe16nmgwka', 1, 'turn_01m841hy2ke00saf5z1qhrd6cq', 'before', 6, NULL, NULL, 0, 0, 1, 1795432183901);
insert into "snapshots" ("session_id", "n", "turn_id", "moment", "seq", "commit_id", "problem", "files", "bytes", "ms", "at") values ('sesn_01m841hy2ee00vj1pe16nmgwka', 2, 'turn_01m841hy2ke00saf5z1qhrd6cq', 'after', 11, NULL, NULL, 0, 0, 1, 1795432183951);
CREATE TABLE rewinds (
    session_id text not null,
    event_id text not null,
    seq integer not null,
    to_seq integer not null,
    conversation integer not null,
    pending integer not null,
    commit_id text,
    primary key (session_id, seq)
  ) without rowid;
CREATE TABLE session_totals (status text primary key, sessions integer not null) without rowid;
insert into "session_totals" ("status", "sessions") values ('idle', 3);
insert into "session_totals" ("status", "sessions") values ('running', 0);
CREATE INDEX sessions_newest on sessions (created_at, id);
CREATE INDEX sessions_current on sessions (created_at, id) where archived_at is null;
CREATE INDEX sessions_status on sessions (status, created_at, id);
CREATE INDEX sessions_queue on sessions (queued_at, id) where queued_at is not null;
CREATE INDEX sessions_held on sessions (holder) where holder is not null;
CREATE UNIQUE INDEX turns_session on turns (session_id, number);
CREATE INDEX turns_open on turns (session_id, number) where status in ('queued', 'in_progress', 'waiting');
CREATE INDEX events_id on events (session_id, id, seq);
CREATE INDEX events_repeats on events (session_id, repeats) where repeats is not null;
CREATE UNIQUE INDEX transcript_uuid on transcript (session_id, subpath, uuid) where uuid is not null;
CREATE INDEX idempotency_age on idempotency (created_at);
CREATE INDEX approvals_session on approvals (session_id, created_at, id);
CREATE INDEX approvals_status on approvals (status, created_at, id);
CREATE INDEX approvals_newest on approvals (created_at, id);
CREATE INDEX approvals_open on approvals (session_id) where open = 1;
CREATE INDEX approvals_due on approvals (expires_at) where status = 'pending' and expires_at is not null;
CREATE INDEX grants_agent on grants (agent_id) where session_id is null;
CREATE INDEX grants_session on grants (session_id) where session_id is not null;
CREATE INDEX outbox_age on outbox (created_at);
CREATE UNIQUE INDEX webhook_deliveries_event on webhook_deliveries (endpoint_id, event_id);
CREATE INDEX webhook_deliveries_list on webhook_deliveries (endpoint_id, created_at, id);
CREATE INDEX webhook_deliveries_session on webhook_deliveries (endpoint_id, session_id, created_at, id);
CREATE INDEX webhook_deliveries_open on webhook_deliveries (endpoint_id, created_at, id) where status <> 'delivered';
CREATE INDEX webhook_deliveries_due on webhook_deliveries (endpoint_id, next_at) where status = 'pending';
CREATE INDEX sessions_line on sessions (queue_key, priority, queued_at, id)
    where queued_at is not null and holder is null;
CREATE INDEX sessions_running on sessions (queue_key) where holder is not null;
CREATE INDEX sessions_overdue on sessions (queued_at + max_queue_ms)
    where queued_at is not null and max_queue_ms is not null;
CREATE INDEX queue_lanes_next on queue_lanes (priority desc, running, head_at);
CREATE TRIGGER sessions_queue_insert after insert on sessions when new.queued_at is not null or new.holder is not null begin 
    delete from queue_lanes where queue_key = new.queue_key and priority = new.priority;
    insert into queue_lanes
      select new.queue_key, new.priority, new.concurrency_key is not null, 0, queued_at from sessions
      where queue_key = new.queue_key and priority = new.priority and queued_at is not null and holder is null
      order by queued_at limit 1;
    update queue_lanes set running = (select count(*) from sessions where queue_key = new.queue_key and holder is not null)
      where queue_key = new.queue_key and running <> (select count(*) from sessions where queue_key = new.queue_key and holder is not null);
update queue_totals set waiting = waiting + (new.queued_at is not null), changes = changes + 1; end;
CREATE TRIGGER sessions_queue_update after update of queued_at, holder, priority, principal, concurrency_key on sessions
     when old.queued_at is not new.queued_at or old.holder is not new.holder or old.priority <> new.priority
       or old.queue_key <> new.queue_key begin 
    delete from queue_lanes where queue_key = old.queue_key and priority = old.priority;
    insert into queue_lanes
      select old.queue_key, old.priority, old.concurrency_key is not null, 0, queued_at from sessions
      where queue_key = old.queue_key and priority = old.priority and queued_at is not null and holder is null
      order by queued_at limit 1;
    update queue_lanes set running = (select count(*) from sessions where queue_key = old.queue_key and holder is not null)
      where queue_key = old.queue_key and running <> (select count(*) from sessions where queue_key = old.queue_key and holder is not null);

    delete from queue_lanes where queue_key = new.queue_key and priority = new.priority;
    insert into queue_lanes
      select new.queue_key, new.priority, new.concurrency_key is not null, 0, queued_at from sessions
      where queue_key = new.queue_key and priority = new.priority and queued_at is not null and holder is null
      order by queued_at limit 1;
    update queue_lanes set running = (select count(*) from sessions where queue_key = new.queue_key and holder is not null)
      where queue_key = new.queue_key and running <> (select count(*) from sessions where queue_key = new.queue_key and holder is not null);
update queue_totals set changes = changes + 1,
       waiting = waiting + (new.queued_at is not null) - (old.queued_at is not null); end;
CREATE TRIGGER sessions_queue_delete after delete on sessions when old.queued_at is not null or old.holder is not null begin 
    delete from queue_lanes where queue_key = old.queue_key and priority = old.priority;
    insert into queue_lanes
      select old.queue_key, old.priority, old.concurrency_key is not null, 0, queued_at from sessions
      where queue_key = old.queue_key and priority = old.priority and queued_at is not null and holder is null
      order by queued_at limit 1;
    update queue_lanes set running = (select count(*) from sessions where queue_key = old.queue_key and holder is not null)
      where queue_key = old.queue_key and running <> (select count(*) from sessions where queue_key = old.queue_key and holder is not null);
update queue_totals set waiting = waiting - (old.queued_at is not null), changes = changes + 1; end;
CREATE INDEX ledger_day on ledger (day, at);
CREATE INDEX ledger_session on ledger (session_id, day);
CREATE INDEX threads_session on threads (session_id, created_at, id);
CREATE INDEX threads_running on threads (session_id) where status = 'running';
CREATE INDEX events_thread on events (session_id, thread_id, seq) where thread_id is not null;
CREATE INDEX agents_list on agents (workspace_id, created_at, id);
CREATE UNIQUE INDEX agents_file on agents (workspace_id, file) where file is not null;
CREATE UNIQUE INDEX sessions_external on sessions (workspace_id, external_id)
    where external_id is not null and archived_at is null;
CREATE INDEX sessions_workspace on sessions (workspace_id, created_at, id);
CREATE INDEX ledger_principal on ledger (principal, day);
CREATE INDEX ledger_workspace on ledger (workspace_id, day);
CREATE INDEX rewinds_pending on rewinds (session_id) where pending = 1;
CREATE TRIGGER sessions_totals_insert after insert on sessions begin
    insert into session_totals values (new.status, 1) on conflict (status) do update set sessions = sessions + 1;
  end;
CREATE TRIGGER sessions_totals_update after update of status on sessions when old.status <> new.status begin
    update session_totals set sessions = sessions - 1 where status = old.status;
    insert into session_totals values (new.status, 1) on conflict (status) do update set sessions = sessions + 1;
  end;
CREATE TRIGGER sessions_totals_delete after delete on sessions begin
    update session_totals set sessions = sessions - 1 where status = old.status;
  end;
pragma user_version = 11;
