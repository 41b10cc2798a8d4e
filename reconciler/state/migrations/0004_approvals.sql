-- What somebody approved, and the ledger of resets.

-- Item.content_id of what an attempt is for: an approval of it is used up when the attempt is accepted.
ALTER TABLE intents ADD COLUMN content_id TEXT NOT NULL DEFAULT '';

-- Approvals that were not used up; expired ones stay for a while, so that it can be said that they are.
CREATE TABLE approvals (
  content_id TEXT PRIMARY KEY NOT NULL,
  task       TEXT NOT NULL,
  address    TEXT NOT NULL CHECK (address <> ''), -- rows of the journal name it: that is how changes are followed
  plan       TEXT NOT NULL,
  action     TEXT NOT NULL,
  forced     TEXT NOT NULL,                   -- names of rails, a JSON array
  reason     TEXT NOT NULL,
  by         TEXT NOT NULL,
  at         TEXT NOT NULL,
  until      TEXT NOT NULL
);
CREATE INDEX approvals_by_address ON approvals (address);
CREATE INDEX approvals_by_end ON approvals (until);

-- A reset that is forgotten might be sent a second time, which loses data.
CREATE TABLE resets (
  target          TEXT NOT NULL,
  project         TEXT NOT NULL,
  reverse         INTEGER NOT NULL CHECK (reverse IN (0, 1)),
  request         TEXT NOT NULL,
  digest          TEXT NOT NULL,              -- of what was asked for
  task            TEXT NOT NULL,
  address         TEXT NOT NULL CHECK (address <> ''), -- likewise
  start_timestamp INTEGER NOT NULL,           -- unix seconds
  stage           TEXT NOT NULL,
  since           TEXT NOT NULL,
  reason          TEXT NOT NULL,
  position_before INTEGER,                    -- unix seconds
  stopped         INTEGER NOT NULL CHECK (stopped IN (0, 1)),
  plan            TEXT NOT NULL,
  content_id      TEXT NOT NULL,
  ticket          TEXT,
  request_id      TEXT,
  PRIMARY KEY (target, project, reverse, request)
);
CREATE INDEX resets_by_address ON resets (address);

CREATE TRIGGER resets_are_never_deleted BEFORE DELETE ON resets
BEGIN
  SELECT RAISE(ABORT, 'the ledger of resets is never cut');
END;
-- INSERT OR REPLACE deletes without asking the trigger above.
CREATE TRIGGER resets_are_written_once BEFORE INSERT ON resets
WHEN EXISTS (
  SELECT 1 FROM resets
  WHERE (target, project, reverse, request) = (NEW.target, NEW.project, NEW.reverse, NEW.request))
BEGIN
  SELECT RAISE(ABORT, 'the ledger of resets has this request');
END;
CREATE TRIGGER resets_stay_what_they_are BEFORE UPDATE ON resets
WHEN (NEW.target, NEW.project, NEW.reverse, NEW.request, NEW.digest)
  <> (OLD.target, OLD.project, OLD.reverse, OLD.request, OLD.digest)
BEGIN
  SELECT RAISE(ABORT, 'a reset in the ledger stays the one that it is');
END;

-- Rows of rails belong to no task and name those that they hold: there are few of them, and they are looked through.
CREATE INDEX journal_rails ON journal (kind) WHERE kind = 'rail';
