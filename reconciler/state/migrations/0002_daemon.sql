-- What a program that runs for years needs: a journal that can be cut at its beginning, what it last said of each task,
-- and whom it told.

-- Where the chain begins: the last row that was dropped. Without one, what stands for the row before the first.
CREATE TABLE journal_anchor (
  one      INTEGER PRIMARY KEY NOT NULL CHECK (one = 1),
  sequence INTEGER NOT NULL,
  hash     TEXT NOT NULL
);
INSERT INTO journal_anchor VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

CREATE TRIGGER journal_anchor_is_one BEFORE INSERT ON journal_anchor
BEGIN
  SELECT RAISE(ABORT, 'the journal has one anchor');
END;
CREATE TRIGGER journal_anchor_stays BEFORE DELETE ON journal_anchor
BEGIN
  SELECT RAISE(ABORT, 'the journal has one anchor');
END;
-- To a row that is there, and never to the newest: the next one continues its number and its hash.
CREATE TRIGGER journal_anchor_moves_forward BEFORE UPDATE ON journal_anchor
WHEN NEW.sequence <= OLD.sequence
  OR NEW.sequence IS (SELECT max(sequence) FROM journal)
  OR NOT EXISTS (SELECT 1 FROM journal WHERE sequence = NEW.sequence AND hash = NEW.hash)
BEGIN
  SELECT RAISE(ABORT, 'the anchor of the journal only moves forward');
END;

DROP TRIGGER journal_is_never_deleted;
CREATE TRIGGER journal_is_deleted_up_to_its_anchor BEFORE DELETE ON journal
WHEN OLD.sequence > coalesce((SELECT sequence FROM journal_anchor), 0)
BEGIN
  SELECT RAISE(ABORT, 'the journal is append-only');
END;

-- Few rows of a journal tell of components that did not come back healthy; whether there are any is asked before calls.
CREATE INDEX journal_unhealthy ON journal (at) WHERE kind = 'health' AND outcome IN ('failed', 'unconfirmed');

CREATE TABLE target_releases (
  target TEXT PRIMARY KEY NOT NULL,
  at     TEXT NOT NULL                        -- when somebody last said that it is to be used again
);

-- What the daemon last said of each task.
CREATE TABLE task_states (
  task       TEXT PRIMARY KEY NOT NULL,
  state      TEXT NOT NULL,
  since      TEXT NOT NULL,
  reason     TEXT NOT NULL,
  next_step  TEXT NOT NULL,
  until      TEXT,
  revision   TEXT NOT NULL,
  ticket     TEXT,
  request_id TEXT,
  content    TEXT NOT NULL
);

-- The last edge that each channel was told of a task or a target.
CREATE TABLE notified (
  channel TEXT NOT NULL,
  subject TEXT NOT NULL,
  mark    TEXT NOT NULL,
  PRIMARY KEY (channel, subject)
);
