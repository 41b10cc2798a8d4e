-- The first schema. Timestamps are UTC ISO text with microseconds, JSON is ASCII text, tickets are text because a
-- server's 64-bit number may not fit SQLite's signed integer.

PRAGMA application_id = 1330467666; -- "OMSR"

-- What is known of an address. The content lies apart, so that reading all records reads no content.
CREATE TABLE records (
  address        TEXT PRIMARY KEY NOT NULL,
  task           TEXT NOT NULL,
  serial         INTEGER NOT NULL,
  digest         TEXT,                        -- NULL: nothing was ever applied or adopted
  digest_version INTEGER NOT NULL,
  fingerprints   TEXT NOT NULL DEFAULT '{}',
  key_id         TEXT NOT NULL DEFAULT '',
  revision       TEXT NOT NULL DEFAULT '',
  applied_at     TEXT,
  condition      TEXT NOT NULL,
  reason         TEXT NOT NULL DEFAULT '',
  since          TEXT NOT NULL,
  attempted      TEXT,
  attempts       INTEGER NOT NULL DEFAULT 0,
  ticket         TEXT,
  request_id     TEXT,
  component      TEXT NOT NULL DEFAULT '',
  status_before  TEXT NOT NULL DEFAULT ''
);

CREATE TABLE contents (
  address TEXT PRIMARY KEY NOT NULL REFERENCES records (address) ON DELETE CASCADE,
  content TEXT NOT NULL
);

-- Attempts whose effect is not known. The number is the sequence of the journal row that announced it.
CREATE TABLE intents (
  number         INTEGER PRIMARY KEY NOT NULL,
  address        TEXT NOT NULL REFERENCES records (address) ON DELETE CASCADE,
  revision       TEXT NOT NULL,
  content        TEXT NOT NULL,
  fingerprints   TEXT NOT NULL,
  key_id         TEXT NOT NULL,
  digest         TEXT NOT NULL,
  digest_version INTEGER NOT NULL,
  attempted      TEXT NOT NULL,               -- what makes two attempts the same attempt
  counted        INTEGER NOT NULL DEFAULT 1,  -- 0 once somebody asked for a retry: no longer one of the attempts
  closed         INTEGER NOT NULL DEFAULT 0   -- 1 once somebody adopted: kept only in case its call is still under way
);
CREATE INDEX intents_by_address ON intents (address, closed);
CREATE VIEW open_intents AS SELECT * FROM intents WHERE NOT closed;

CREATE TABLE journal (
  sequence   INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, -- sqlite_sequence remembers the last one: a cut end shows
  at         TEXT NOT NULL,
  kind       TEXT NOT NULL,
  task       TEXT NOT NULL,
  address    TEXT NOT NULL,
  action     TEXT NOT NULL,
  outcome    TEXT NOT NULL,
  revision   TEXT NOT NULL,
  plan       TEXT NOT NULL,
  ticket     TEXT,
  request_id TEXT,
  detail     TEXT NOT NULL,
  hash       TEXT NOT NULL
);
CREATE INDEX journal_by_task ON journal (task, sequence);

CREATE TRIGGER journal_is_never_updated BEFORE UPDATE ON journal
BEGIN
  SELECT RAISE(ABORT, 'the journal is append-only');
END;
CREATE TRIGGER journal_is_never_deleted BEFORE DELETE ON journal
BEGIN
  SELECT RAISE(ABORT, 'the journal is append-only');
END;
-- INSERT OR REPLACE deletes without asking the trigger above.
CREATE TRIGGER journal_grows_at_its_end BEFORE INSERT ON journal
WHEN NEW.sequence IS NOT (SELECT coalesce(max(sequence), 0) + 1 FROM journal)
BEGIN
  SELECT RAISE(ABORT, 'the journal is append-only');
END;

CREATE TABLE suspensions (
  task   TEXT PRIMARY KEY NOT NULL,           -- "*" means all
  reason TEXT NOT NULL,
  until  TEXT
);

CREATE TABLE target_trouble (
  target  TEXT PRIMARY KEY NOT NULL,
  kind    TEXT NOT NULL,
  message TEXT NOT NULL
);
