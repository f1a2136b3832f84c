package localenv

import (
	"context"
	"errors"
	"fmt"
)

// StartReplica starts a throw-away PostgreSQL that follows a private one, which
// runs, by streaming replication, and returns when it can be read. Its settings
// are those of o, where max_connections and the like must not be lower than the
// primary's. Commits of the primary wait for it only where the primary's
// synchronous_standby_names says so ('*' will do). The caller closes it; else as
// Start.
func StartReplica(ctx context.Context, o Options, primary *Server) (*Env, error) {
	o.DataDir = ""
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	found, err := o.locate(ctx, true, false)
	if err != nil {
		return nil, err
	}
	s, err := o.startPostgres(ctx, found.postgres, "pg_basebackup",
		"-h", primary.place.run, "-U", "px", "-X", "stream", "-c", "fast", "--no-sync", "--write-recovery-conf")
	if err != nil {
		return nil, err
	}
	return &Env{DatabaseURL: s.spec.url, Postgres: s}, nil
}

// Promote ends a replica's following, and returns when it takes writes. The old
// primary is left alone: it must not run.
func (s *Server) Promote(ctx context.Context) error {
	if s.spec.promote == nil {
		return errors.New("promote: not a PostgreSQL")
	}
	if err := s.spec.promote(ctx); err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	return nil
}
