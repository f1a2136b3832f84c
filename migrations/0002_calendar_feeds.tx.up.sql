-- What each holiday feed of the policy said last. Revisions of the policy hold the dates
-- themselves; this is what the next refresh, and the next policy, go on from.
SET LOCAL lock_timeout = '5s';
--bun:split

CREATE TABLE calendar_feeds (
    calendar      text NOT NULL, -- names in the policy
    feed          text NOT NULL,
    source        text NOT NULL, -- URL or file that the last good answer is from
    dates         jsonb NOT NULL DEFAULT '[]',
    timed         integer NOT NULL DEFAULT 0, -- events left out because they are not all day
    sha256        bytea NOT NULL DEFAULT '', -- of the last good answer
    etag          text NOT NULL DEFAULT '',
    last_modified text NOT NULL DEFAULT '',
    fetched_at    timestamptz, -- when the last good answer was asked for, or confirmed
    last_error    text NOT NULL DEFAULT '',
    failed_since  timestamptz,
    CONSTRAINT calendar_feeds_pkey PRIMARY KEY (calendar, feed),
    CONSTRAINT calendar_feeds_failed_whole CHECK ((failed_since IS NULL) = (last_error = ''))
);
