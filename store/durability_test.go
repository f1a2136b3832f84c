package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/store"
)

func TestLossWindow(t *testing.T) {
	t.Parallel()
	lag := 1234567 * time.Microsecond
	tests := []struct {
		name        string
		d           store.Durability
		replication string
		window      string
		safe        bool
	}{
		{"no standby that a commit waits for", store.Durability{Fsync: true, Commit: "on"}, "asynchronous", "none is seen here", true},
		{"a standby that no commit waits for", store.Durability{Fsync: true, Commit: "on", Lag: &lag}, "asynchronous", "the last 1.235s as of now", true},
		{"a standby", store.Durability{Fsync: true, Commit: "on", Standbys: "ANY 1 (a, b)"}, "synchronous", "none", true},
		{"a standby that has applied it", store.Durability{Fsync: true, Commit: "remote_apply", Standbys: "*"}, "synchronous", "none", true},
		{"a standby's memory", store.Durability{Fsync: true, Commit: "remote_write", Standbys: "*"}, "synchronous", "not yet on disk", true},
		{"standbys that no commit waits for", store.Durability{Fsync: true, Commit: "local", Standbys: "*"}, "asynchronous", "what no standby has yet", true},
		{"commits that wait for nothing", store.Durability{Fsync: true, Commit: "off", Standbys: "*"}, "asynchronous", "synchronous_commit is off", false},
		{"no fsync", store.Durability{Commit: "on", Standbys: "*"}, "synchronous", "fsync is off", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			window, safe := tt.d.Loss()
			if tt.d.Replication() != tt.replication || !strings.Contains(window, tt.window) || safe != tt.safe {
				t.Errorf("%s, %q, safe %t", tt.d.Replication(), window, safe)
			}
		})
	}
}

// TestDurabilityIsThatOfTheReplication takes a server from synchronous to
// asynchronous, and its standby away.
func TestDurabilityIsThatOfTheReplication(t *testing.T) {
	t.Parallel()
	pair := testenv.PostgresPair(t, true)
	s := openStore(t, pair.Primary.DatabaseURL)
	want := func(what, replication string, lag bool) {
		t.Helper()
		var d store.Durability
		testenv.Wait(t, what, func() (ok bool) {
			var err error
			d, err = s.Durability(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return d.Replication() == replication && (d.Lag != nil) == lag
		})
		if d.Lag != nil && (*d.Lag < 0 || *d.Lag > time.Minute) {
			t.Errorf("%s: lag %s", what, *d.Lag)
		}
	}
	set := func(query string) {
		t.Helper()
		for _, q := range []string{query, "SELECT pg_reload_conf()"} {
			if _, err := s.DB().ExecContext(t.Context(), q); err != nil {
				t.Fatal(err)
			}
		}
	}
	want("a standby that commits wait for", "synchronous", true)
	set("ALTER SYSTEM RESET synchronous_standby_names")
	want("a standby", "asynchronous", true)
	if err := pair.Replica.Postgres.Stop(); err != nil {
		t.Fatal(err)
	}
	want("none", "asynchronous", false)
}

func TestDurabilityIsThatOfItsSessions(t *testing.T) {
	t.Parallel()
	s, err := store.Open(testenv.DatabaseURL(t), store.Options{PoolSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if _, err := s.DB().ExecContext(t.Context(), "SET synchronous_commit = local"); err != nil {
		t.Fatal(err)
	}
	if d, err := s.Durability(t.Context()); err != nil || d.Commit != "local" || d.Standbys != "" {
		t.Errorf("durability = %+v, %v", d, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Durability(t.Context()); err == nil {
		t.Error("no error without a database")
	}
}
