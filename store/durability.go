package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Durability is how safe a commit is by the settings of PostgreSQL.
type Durability struct {
	Fsync    bool
	Commit   string         // synchronous_commit of this program's sessions
	Standbys string         // synchronous_standby_names
	Lag      *time.Duration // of the standby that is least behind; nil: none is connected, or who asks may not know
}

// Durability reads the settings, and how far behind the standbys are.
func (s *Store) Durability(ctx context.Context) (d Durability, err error) {
	var lag sql.NullFloat64
	// What is shown of standbys to who may not see them has no state. One that has
	// all, and hears of nothing new, has no lag.
	err = s.db.NewRaw(`SELECT current_setting('fsync') = 'on', current_setting('synchronous_commit'), current_setting('synchronous_standby_names'),
		(SELECT min(extract(epoch FROM coalesce(flush_lag, '0'))) FROM pg_stat_replication WHERE state = 'streaming')`).
		Scan(ctx, &d.Fsync, &d.Commit, &d.Standbys, &lag)
	if err != nil {
		return d, mapErr(fmt.Errorf("read how safe a commit is: %w", err))
	}
	if lag.Valid {
		behind := time.Duration(lag.Float64 * float64(time.Second))
		d.Lag = &behind
	}
	return d, nil
}

// Replication is "synchronous" or "asynchronous". PostgreSQL does not know of a
// service that replicates its disks.
func (d Durability) Replication() string {
	if d.Standbys == "" || d.Commit == "off" || d.Commit == "local" {
		return "asynchronous"
	}
	return "synchronous"
}

// Loss says in plain words which answered commits may be lost. With safe they
// outlive at least a crash of the server.
func (d Durability) Loss() (window string, safe bool) {
	switch {
	case !d.Fsync:
		return "anything, when the machine crashes: fsync is off", false
	case d.Commit == "off":
		return "the last 0.6 s or so, when the server crashes: synchronous_commit is off", false
	case d.Replication() == "asynchronous" && d.Lag == nil:
		return "what no standby has yet, when the primary is lost for good; none is seen here", true
	case d.Replication() == "asynchronous":
		return fmt.Sprintf("what no standby has yet, when the primary is lost for good: the last %s as of now", d.Lag.Round(time.Millisecond)), true
	case d.Commit == "remote_write":
		return "what the standby has not yet on disk, when primary and standby are lost at the same time", true
	}
	return "none", true
}
