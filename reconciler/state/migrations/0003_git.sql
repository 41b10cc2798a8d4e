-- Which commit is followed, what each component had been told at any time, and ways to find rows of the journal.

CREATE TABLE heads (
  ref      TEXT PRIMARY KEY NOT NULL,
  revision TEXT NOT NULL,                     -- id of the commit that was followed last
  begun    INTEGER NOT NULL                   -- the row of the journal that tells so
);

-- Contents that are no longer the present ones of `contents`: JSON, compressed with zlib; equal ones once.
CREATE TABLE told_contents (
  id      INTEGER PRIMARY KEY NOT NULL,
  digest  BLOB NOT NULL UNIQUE,               -- SHA-256 of the JSON
  content BLOB NOT NULL
);

-- What a component had been told, from one row of the journal to another. Those rows may have been dropped: what is
-- to be said about it stands here.
CREATE TABLE told (
  number    INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  address   TEXT NOT NULL,
  begun     INTEGER NOT NULL,                 -- the row that made it so
  ended     INTEGER,                          -- the row that ended it; NULL: it is still so
  task      TEXT NOT NULL,
  component TEXT NOT NULL,                    -- its name when it was sent to; "" when it was adopted
  at        TEXT NOT NULL,                    -- when it was accepted, or adopted
  action    TEXT NOT NULL,
  revision  TEXT NOT NULL,
  plan      TEXT NOT NULL,
  ticket    TEXT,
  content   INTEGER REFERENCES told_contents (id), -- NULL while it is still so: it is in `contents`
  CHECK ((ended IS NULL) = (content IS NULL))
);
CREATE UNIQUE INDEX told_now ON told (address) WHERE ended IS NULL;
CREATE INDEX told_before ON told (ended, begun) WHERE ended IS NOT NULL;
CREATE INDEX told_by_content ON told (content) WHERE content IS NOT NULL;

-- From which row on `told` is whole: 0 in a store that kept contents from the beginning.
CREATE TABLE told_whole_from (
  one      INTEGER PRIMARY KEY NOT NULL CHECK (one = 1),
  sequence INTEGER NOT NULL,
  at       TEXT NOT NULL
);
INSERT INTO told_whole_from
SELECT 1, coalesce(max(sequence), 0), strftime('%Y-%m-%dT%H:%M:%f000+00:00', 'now') FROM journal;

-- An older release kept the present contents only.
INSERT INTO told (address, begun, task, component, at, action, revision, plan, ticket)
SELECT records.address, (SELECT sequence FROM told_whole_from), records.task, records.component, records.applied_at,
       coalesce(journal.action, ''), records.revision, coalesce(journal.plan, ''), records.ticket
FROM records
LEFT JOIN journal ON journal.sequence = (
  SELECT max(made.sequence) FROM journal AS made
  WHERE made.task = records.task AND made.address = records.address AND made.at = records.applied_at
    AND made.kind IN ('outcome', 'adopt'))
WHERE records.digest IS NOT NULL;

-- With the number of the row, which every index ends with, these answer what `history` is asked: the newest rows of a
-- revision or of an outcome (and a task, or a folder of tasks), and where in the journal a time is.
CREATE INDEX journal_by_revision ON journal (revision) WHERE revision <> '';
CREATE INDEX journal_by_outcome ON journal (outcome, task) WHERE outcome <> '';
CREATE INDEX journal_by_time ON journal (at);
CREATE INDEX journal_heads ON journal (revision) WHERE kind = 'head';
