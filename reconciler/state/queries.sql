-- Every statement of the store, each below its name; loaded by queries.py.

-- name: records
SELECT address, task, serial, digest, digest_version, fingerprints, key_id, revision, applied_at, condition, reason,
       since, attempted, attempts,
       (SELECT count(*) FROM open_intents WHERE open_intents.address = records.address),
       ticket, request_id, component, status_before
FROM records
ORDER BY address;

-- name: record
SELECT address, task, serial, digest, digest_version, fingerprints, key_id, revision, applied_at, condition, reason,
       since, attempted, attempts,
       (SELECT count(*) FROM open_intents WHERE open_intents.address = records.address),
       ticket, request_id, component, status_before
FROM records
WHERE address = :address;

-- name: applied
SELECT content, fingerprints, key_id, digest
FROM records JOIN contents USING (address)
WHERE address = :address;

-- name: candidates
SELECT content, fingerprints, key_id, digest
FROM open_intents
WHERE address = :address
ORDER BY number;

-- name: intent
SELECT address, revision, content, fingerprints, key_id, digest, digest_version, attempted
FROM intents
WHERE number = :number;

-- name: start_attempt
INSERT INTO records (address, task, serial, digest_version, condition, since, attempted, component, status_before)
VALUES (:address, :task, 1, :digest_version, 'applying', :now, :attempted, :component, :status_before)
ON CONFLICT (address) DO UPDATE SET
  task = excluded.task, serial = serial + 1, condition = excluded.condition, reason = '', since = excluded.since,
  attempted = excluded.attempted, component = excluded.component, status_before = excluded.status_before;

-- name: drop_closed_intents
DELETE FROM intents WHERE address = :address AND closed;

-- name: add_intent
INSERT INTO intents (number, address, revision, content, fingerprints, key_id, digest, digest_version, attempted,
                     content_id)
VALUES (:number, :address, :revision, :content, :fingerprints, :key_id, :digest, :digest_version, :attempted,
        :content_id);

-- name: count_attempts
-- The newest open intents of one content, without a break: what is unknown, and what is under way.
UPDATE records SET attempts = (
  SELECT count(*) FROM open_intents AS same
  WHERE same.address = :address AND same.attempted = :attempted AND same.counted
    AND NOT EXISTS (
      SELECT 1 FROM open_intents AS other
      WHERE other.address = :address AND other.attempted <> :attempted AND other.number > same.number))
WHERE address = :address;

-- name: set_applied
UPDATE records SET
  digest = :digest, digest_version = :digest_version, fingerprints = :fingerprints, key_id = :key_id,
  revision = :revision, applied_at = :now, condition = :condition, reason = :reason, since = :now,
  attempted = :attempted, attempts = 0, ticket = :ticket, request_id = :request_id
WHERE address = :address;

-- name: set_content
INSERT INTO contents (address, content) VALUES (:address, :content)
ON CONFLICT (address) DO UPDATE SET content = excluded.content;

-- name: content
SELECT content FROM contents WHERE address = :address;

-- name: close_intents_up_to
DELETE FROM intents WHERE address = :address AND number <= :number;

-- name: close_intent
DELETE FROM intents WHERE number = :number;

-- name: reopen_intent
UPDATE intents SET closed = 0 WHERE number = :number;

-- name: end_attempt
UPDATE records SET condition = :condition, reason = :reason, since = :now, attempted = :attempted
WHERE address = :address;

-- name: set_condition
UPDATE records SET
  since = CASE WHEN condition = :condition THEN since ELSE :now END, condition = :condition, reason = :reason
WHERE address = :address AND (condition <> :condition OR reason <> :reason);

-- name: set_component
UPDATE records SET component = :component WHERE address = :address AND component <> :component;

-- name: adopt
INSERT INTO records (address, task, serial, digest, digest_version, fingerprints, key_id, revision, applied_at,
                     condition, since)
VALUES (:address, :task, 1, :digest, :digest_version, :fingerprints, :key_id, :revision, :now, 'synced', :now)
ON CONFLICT (address) DO UPDATE SET
  task = excluded.task, serial = serial + 1, digest = excluded.digest, digest_version = excluded.digest_version,
  fingerprints = excluded.fingerprints, key_id = excluded.key_id, revision = excluded.revision,
  applied_at = excluded.applied_at, condition = excluded.condition, reason = '', since = excluded.since,
  attempted = NULL, attempts = 0, ticket = NULL, request_id = NULL, component = '', status_before = '';

-- name: set_intents_aside
UPDATE intents SET closed = 1 WHERE address = :address;

-- name: refingerprint
UPDATE records SET
  digest = :digest, digest_version = :digest_version, fingerprints = :fingerprints, key_id = :key_id
WHERE address = :address AND digest IS NOT NULL;

-- name: take_over
UPDATE records SET task = :task WHERE address = :address;

-- name: move_suspension
UPDATE OR REPLACE suspensions SET task = :task WHERE task = :before;

-- name: forget
DELETE FROM records WHERE address = :address;

-- name: retry
UPDATE records SET
  condition = :condition, reason = :reason, since = :now, attempts = 0,
  attempted = CASE WHEN :keep_attempted THEN attempted END
WHERE address = :address;

-- name: uncount_intents
UPDATE intents SET counted = 0 WHERE address = :address;

-- name: suspend
INSERT INTO suspensions (task, reason, until) VALUES (:task, :reason, :until)
ON CONFLICT (task) DO UPDATE SET reason = excluded.reason, until = excluded.until;

-- name: resume
DELETE FROM suspensions WHERE task = :task;

-- name: suspensions
SELECT task, reason, until FROM suspensions ORDER BY task;

-- name: target_trouble
SELECT target, kind, message FROM target_trouble ORDER BY target;

-- name: set_target_trouble
INSERT INTO target_trouble (target, kind, message) VALUES (:target, :kind, :message)
ON CONFLICT (target) DO UPDATE SET kind = excluded.kind, message = excluded.message;

-- name: clear_target_trouble
DELETE FROM target_trouble WHERE target = :target;

-- name: release_target
INSERT INTO target_releases (target, at) VALUES (:target, :now)
ON CONFLICT (target) DO UPDATE SET at = excluded.at;

-- name: unhealthy
-- Records whose present condition was made by a row of health: both then have the same moment.
SELECT records.task, records.reason
FROM journal CROSS JOIN records USING (address) -- in this order: the rows are few, the records many
WHERE journal.kind = 'health' AND journal.outcome IN ('failed', 'unconfirmed') AND journal.at >= :since
  AND journal.at > coalesce((SELECT released.at FROM target_releases AS released WHERE released.target = :target), '')
  AND records.condition = journal.outcome AND records.since = journal.at
  AND CASE WHEN json_valid(address) THEN json_extract(address, '$[0]') END = :target
ORDER BY records.task;

-- name: approvals
SELECT content_id, task, address, plan, action, forced, reason, by, at, until
FROM approvals
ORDER BY at, content_id;

-- name: approvals_of_address
SELECT content_id, task, address, plan, action, forced, reason, by, at, until
FROM approvals
WHERE address = :address
ORDER BY at, content_id;

-- name: approval
SELECT content_id, task, address, plan, action, forced, reason, by, at, until
FROM approvals
WHERE content_id = :content_id;

-- name: approvals_until
SELECT content_id, task, address, plan, action, forced, reason, by, at, until
FROM approvals
WHERE until <= :end
ORDER BY until, content_id;

-- name: approve
INSERT OR REPLACE INTO approvals (content_id, task, address, plan, action, forced, reason, by, at, until)
VALUES (:content_id, :task, :address, :plan, :action, :forced, :reason, :by, :at, :until);

-- name: disapprove
DELETE FROM approvals WHERE content_id = :content_id;

-- name: use_up_approval
DELETE FROM approvals WHERE address = :address AND content_id = :content_id;

-- name: use_up_approvals_of_intents
DELETE FROM approvals
WHERE address = :address
  AND content_id IN (SELECT content_id FROM intents WHERE address = :address AND number <= :number);

-- name: drop_approvals_of_address
DELETE FROM approvals WHERE address = :address;

-- name: resets
SELECT target, project, reverse, request, digest, task, address, start_timestamp, stage, since, reason,
       position_before, stopped, plan, content_id, ticket, request_id
FROM resets
ORDER BY target, project, reverse, request;

-- name: resets_of_address
SELECT target, project, reverse, request, digest, task, address, start_timestamp, stage, since, reason,
       position_before, stopped, plan, content_id, ticket, request_id
FROM resets
WHERE address = :address
ORDER BY target, project, reverse, request;

-- name: reset
SELECT target, project, reverse, request, digest, task, address, start_timestamp, stage, since, reason,
       position_before, stopped, plan, content_id, ticket, request_id
FROM resets
WHERE (target, project, reverse, request) = (:target, :project, :reverse, :request);

-- name: add_reset
INSERT INTO resets (target, project, reverse, request, digest, task, address, start_timestamp, stage, since, reason,
                    position_before, stopped, plan, content_id, ticket, request_id)
VALUES (:target, :project, :reverse, :request, :digest, :task, :address, :start_timestamp, :stage, :since, :reason,
        :position_before, :stopped, :plan, :content_id, :ticket, :request_id);

-- name: move_reset
UPDATE resets SET
  digest = :digest, task = :task, address = :address, start_timestamp = :start_timestamp, stage = :stage,
  since = :since, reason = :reason, position_before = :position_before, stopped = :stopped, plan = :plan,
  content_id = :content_id, ticket = :ticket, request_id = :request_id
WHERE (target, project, reverse, request) = (:target, :project, :reverse, :request);

-- name: states
SELECT task, state, since, reason, next_step, until, revision, ticket, request_id, content
FROM task_states
ORDER BY task;

-- name: put_state
INSERT OR REPLACE INTO task_states
       (task, state, since, reason, next_step, until, revision, ticket, request_id, content)
VALUES (:task, :state, :since, :reason, :next_step, :until, :revision, :ticket, :request_id, :content);

-- name: drop_state
DELETE FROM task_states WHERE task = :task;

-- name: notified
SELECT subject, mark FROM notified WHERE channel = :channel ORDER BY subject;

-- name: set_notified
INSERT INTO notified (channel, subject, mark) VALUES (:channel, :subject, :mark)
ON CONFLICT (channel, subject) DO UPDATE SET mark = excluded.mark;

-- name: forget_notified
DELETE FROM notified WHERE channel = :channel AND subject = :subject;

-- name: told_now
SELECT task FROM told WHERE address = :address AND ended IS NULL;

-- name: end_told
UPDATE told SET ended = :ended, content = :content WHERE address = :address AND ended IS NULL;

-- name: begin_told
INSERT INTO told (address, begun, task, component, at, action, revision, plan, ticket)
SELECT address, :begun, task, component, applied_at, :action, revision, :plan, ticket
FROM records
WHERE address = :address;

-- name: rename_told
INSERT INTO told (address, begun, task, component, at, action, revision, plan, ticket)
SELECT address, :begun, :task, component, at, action, revision, plan, ticket
FROM told
WHERE address = :address AND ended = :begun;

-- name: kept_content
SELECT id FROM told_contents WHERE digest = :digest;

-- name: keep_content
INSERT INTO told_contents (digest, content) VALUES (:digest, :content);

-- name: told_whole_from
SELECT sequence, at FROM told_whole_from;

-- name: told_at
SELECT number, address, task, component, at, action, revision, plan, ticket
FROM told WHERE ended IS NULL AND begun <= :sequence
UNION ALL
SELECT number, address, task, component, at, action, revision, plan, ticket
FROM told WHERE ended > :sequence AND begun <= :sequence
ORDER BY task, address;

-- name: told_content
SELECT coalesce(told_contents.content, contents.content)
FROM told
LEFT JOIN told_contents ON told_contents.id = told.content
LEFT JOIN contents ON contents.address = told.address
WHERE told.number = :number;

-- name: contents_of_ended
SELECT DISTINCT content FROM told WHERE ended <= :sequence;

-- name: drop_ended
DELETE FROM told WHERE ended <= :sequence;

-- name: drop_content_without_use
DELETE FROM told_contents WHERE id = :id AND NOT EXISTS (SELECT 1 FROM told WHERE content = :id);

-- name: head
SELECT revision FROM heads WHERE ref = :ref;

-- name: newest_head
SELECT ref, revision FROM heads ORDER BY begun DESC LIMIT 1;

-- name: set_head
INSERT INTO heads (ref, revision, begun) VALUES (:ref, :revision, :begun)
ON CONFLICT (ref) DO UPDATE SET revision = excluded.revision, begun = excluded.begun;

-- name: journal_end
SELECT sequence, hash FROM journal ORDER BY sequence DESC LIMIT 1;

-- name: journal_append
INSERT INTO journal (sequence, at, kind, task, address, action, outcome, revision, plan, ticket, request_id, detail, hash)
VALUES (:sequence, :at, :kind, :task, :address, :action, :outcome, :revision, :plan, :ticket, :request_id, :detail, :hash);

-- name: journal_all
SELECT sequence, at, kind, task, address, action, outcome, revision, plan, ticket, request_id, detail, hash
FROM journal
ORDER BY sequence;

-- name: rows_after
SELECT sequence, at, kind, task, address, action, outcome, revision, plan, ticket, request_id, detail, hash
FROM journal
WHERE sequence > :sequence
ORDER BY sequence
LIMIT :limit;

-- name: addresses_after
SELECT DISTINCT address FROM journal WHERE sequence > :sequence AND address <> '';

-- name: journal_hash
SELECT hash FROM journal WHERE sequence = :sequence;

-- name: anchor
SELECT sequence, hash FROM journal_anchor;

-- name: last_droppable
-- Of the next rows: none that is young enough or follows one that is, none from the first open intent on, and never the
-- newest.
SELECT sequence, hash FROM journal
WHERE sequence <= (SELECT sequence FROM journal_anchor) + :rows
  AND sequence < (SELECT max(sequence) FROM journal)
  AND (sequence >= (SELECT min(number) FROM open_intents)) IS NOT TRUE
  AND (sequence >= (
    SELECT young.sequence FROM journal AS young
    WHERE young.sequence <= (SELECT sequence FROM journal_anchor) + :rows AND young.at >= :before
    ORDER BY young.sequence
    LIMIT 1)) IS NOT TRUE
ORDER BY sequence DESC
LIMIT 1;

-- name: move_anchor
UPDATE journal_anchor SET sequence = :sequence, hash = :hash;

-- name: drop_rows_up_to_the_anchor
DELETE FROM journal WHERE sequence <= (SELECT sequence FROM journal_anchor);

-- name: journal_last_ever
SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'journal';

-- name: journal_row
SELECT sequence, at, kind, task, address, action, outcome, revision, plan, ticket, request_id, detail, hash
FROM journal
WHERE sequence = :sequence;

-- name: history
SELECT sequence, at, kind, task, address, action, outcome, revision, plan, ticket, request_id, detail, hash
FROM journal
ORDER BY sequence DESC
LIMIT :limit;

-- name: history_of_task
SELECT sequence, at, kind, task, address, action, outcome, revision, plan, ticket, request_id, detail, hash
FROM journal
WHERE task = :task
ORDER BY sequence DESC
LIMIT :limit;

-- name: journal_last
SELECT sequence FROM journal ORDER BY sequence DESC LIMIT 1;

-- name: journal_time
SELECT at FROM journal WHERE sequence = :sequence;

-- name: outcome_of_ticket
SELECT sequence, at, kind, task, address, action, outcome, revision, plan, ticket, request_id, detail, hash
FROM journal
WHERE task = :task AND sequence < :sequence AND kind = 'outcome' AND address = :address AND ticket = :ticket
ORDER BY sequence DESC
LIMIT 1;

-- name: first_since
SELECT min(sequence) FROM journal INDEXED BY journal_by_time WHERE at >= :at;

-- name: last_until
SELECT max(sequence) FROM journal INDEXED BY journal_by_time WHERE at < :at;

-- name: numbers
SELECT sequence FROM journal NOT INDEXED
WHERE sequence BETWEEN :first AND :last AND (:since IS NULL OR at >= :since) AND (:until IS NULL OR at < :until)
ORDER BY sequence DESC
LIMIT :limit;

-- name: numbers_of_tasks
SELECT sequence FROM journal INDEXED BY journal_by_task
WHERE task >= :task_low AND task < :task_high AND (task = :task OR task >= :task || '/')
  AND sequence BETWEEN :first AND :last AND (:since IS NULL OR at >= :since) AND (:until IS NULL OR at < :until)
ORDER BY sequence DESC
LIMIT :limit;

-- name: numbers_of_rails
SELECT sequence FROM journal INDEXED BY journal_rails
WHERE kind = 'rail'
  AND sequence BETWEEN :first AND :last AND (:since IS NULL OR at >= :since) AND (:until IS NULL OR at < :until)
  AND EXISTS (
    SELECT 1 FROM json_each(journal.detail, '$.names') AS named
    WHERE named.value = :task OR (named.value >= :task || '/' AND named.value < :task_high))
ORDER BY sequence DESC
LIMIT :limit;

-- name: wide_holds
SELECT DISTINCT task FROM journal INDEXED BY journal_by_task
WHERE task >= '*' AND task < '+';

-- name: numbers_of_outcome
SELECT sequence FROM journal INDEXED BY journal_by_outcome
WHERE outcome <> '' AND outcome = :outcome
  AND task >= :task_low AND task < :task_high AND (:task = '' OR task = :task OR task >= :task || '/')
  AND sequence BETWEEN :first AND :last AND (:since IS NULL OR at >= :since) AND (:until IS NULL OR at < :until)
ORDER BY sequence DESC
LIMIT :limit;

-- name: numbers_of_revision
SELECT sequence FROM journal INDEXED BY journal_by_revision
WHERE revision <> '' AND revision = :revision AND (:outcome = '' OR outcome = :outcome)
  AND task >= :task_low AND task < :task_high AND (:task = '' OR task = :task OR task >= :task || '/')
  AND sequence BETWEEN :first AND :last AND (:since IS NULL OR at >= :since) AND (:until IS NULL OR at < :until)
ORDER BY sequence DESC
LIMIT :limit;

-- name: revision_from
SELECT min(revision) FROM journal INDEXED BY journal_by_revision
WHERE revision <> '' AND revision >= :least AND revision < :end;

-- name: revision_after
SELECT min(revision) FROM journal INDEXED BY journal_by_revision
WHERE revision <> '' AND revision > :least AND revision < :end;

-- name: head_begun
-- The newest commit that is followed may be older than the oldest row.
SELECT max(begun) FROM (
  SELECT max(sequence) AS begun FROM journal INDEXED BY journal_heads WHERE kind = 'head' AND revision = :revision
  UNION ALL
  SELECT begun FROM heads WHERE revision = :revision AND begun = (SELECT max(begun) FROM heads));

-- name: next_head
SELECT min(sequence) FROM journal INDEXED BY journal_heads
WHERE kind = 'head' AND revision <> :revision AND sequence > :sequence;

-- name: made_for
SELECT sequence FROM journal INDEXED BY journal_by_revision
WHERE revision <> '' AND revision = :revision AND kind IN ('intent', 'adopt')
ORDER BY sequence DESC
LIMIT 1;

-- name: made_for_another
SELECT sequence FROM journal NOT INDEXED
WHERE sequence BETWEEN :sequence + 1 AND :last AND kind IN ('intent', 'adopt') AND revision NOT IN ('', :revision)
  AND NOT EXISTS (
    SELECT 1 FROM journal AS head INDEXED BY journal_heads
    WHERE head.kind = 'head' AND head.revision = journal.revision)
ORDER BY sequence
LIMIT 1;

-- name: intent_of_plan
-- Without an index: it is asked when somebody wants a plan that was saved before.
SELECT sequence, at, kind, task, address, action, outcome, revision, plan, ticket, request_id, detail, hash
FROM journal
WHERE kind = 'intent' AND substr(plan, 1, length(:plan)) = :plan
ORDER BY sequence DESC
LIMIT 1;
