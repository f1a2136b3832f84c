package testenv

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/pxactions/px/internal/localenv"
)

// Pair is a PostgreSQL and the replica that follows it.
type Pair struct {
	Primary *localenv.Env // with a Redis
	Replica *localenv.Env // stopped, it misses what is committed meanwhile
}

// PostgresPair starts them for this test alone. With synchronous no commit of the
// primary is answered before the replica has it.
func PostgresPair(tb testing.TB, synchronous bool) Pair {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), startWait)
	defer cancel()
	o := localenv.Options{Log: stderrLog(), Postgres: []string{"synchronous_commit=on"}}
	var p Pair
	tb.Cleanup(func() {
		for _, env := range []*localenv.Env{p.Replica, p.Primary} {
			if env == nil {
				continue
			}
			if err := env.Close(); err != nil {
				tb.Errorf("end servers of this test: %v", err)
			}
		}
	})
	var err error
	if p.Primary, err = localenv.Start(ctx, o); err != nil {
		tb.Fatalf("start servers for this test: %v", err)
	}
	if p.Replica, err = localenv.StartReplica(ctx, o, p.Primary.Postgres); err != nil {
		tb.Fatalf("start a replica for this test: %v", err)
	}
	if synchronous {
		query[string](tb, p.Primary.DatabaseURL, "ALTER SYSTEM SET synchronous_standby_names = '*'")
		query[bool](tb, p.Primary.DatabaseURL, "SELECT pg_reload_conf()")
		Wait(tb, "commits wait for the replica", func() bool {
			return query[bool](tb, p.Primary.DatabaseURL, "SELECT coalesce(bool_or(sync_state = 'sync'), false) FROM pg_stat_replication")
		})
	}
	return p
}

// CatchUp returns when the replica has applied what is committed now.
func (p Pair) CatchUp(tb testing.TB) {
	tb.Helper()
	end := query[string](tb, p.Primary.DatabaseURL, "SELECT pg_current_wal_lsn()::text")
	Wait(tb, "the replica has applied all", func() bool {
		return query[bool](tb, p.Replica.DatabaseURL, "SELECT pg_last_wal_replay_lsn() >= '"+end+"'")
	})
}

// URL is that of a database of the primary's, on whichever of the two takes
// writes.
func (p Pair) URL(tb testing.TB, databaseURL string) string {
	tb.Helper()
	return atHosts(tb, databaseURL, "read-write", p.Primary.DatabaseURL, p.Replica.DatabaseURL)
}

// ReplicaURL is that of a database of the primary's, on the replica.
func (p Pair) ReplicaURL(tb testing.TB, databaseURL string) string {
	tb.Helper()
	return atHosts(tb, databaseURL, "any", p.Replica.DatabaseURL)
}

func atHosts(tb testing.TB, databaseURL, want string, servers ...string) string {
	tb.Helper()
	hosts := make([]string, len(servers))
	for i, s := range servers {
		u, err := url.Parse(s)
		if err != nil {
			tb.Fatal(err)
		}
		hosts[i] = u.Query().Get("host")
	}
	u, err := url.Parse(databaseURL)
	if err != nil {
		tb.Fatal(err)
	}
	q := u.Query()
	q.Set("host", strings.Join(hosts, ","))
	q.Set("target_session_attrs", want)
	u.RawQuery = q.Encode()
	return u.String()
}

// FailOver kills the primary and returns when the replica takes writes, with
// what it has.
func (p Pair) FailOver(tb testing.TB) {
	tb.Helper()
	if err := p.Primary.Postgres.Kill(); err != nil {
		tb.Fatal(err)
	}
	if err := p.Replica.Postgres.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	if err := p.Replica.Postgres.Promote(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// query runs one statement and returns the one value that it answers with, if any.
func query[T any](tb testing.TB, url, sql string) (v T) {
	tb.Helper()
	conn, err := connect(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close(tb.Context()) }()
	rows, err := conn.Query(tb.Context(), sql)
	if err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&v); err != nil {
			tb.Fatalf("%s: %v", sql, err)
		}
	}
	if err := rows.Err(); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
	return v
}
