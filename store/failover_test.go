package store_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

func openStore(t *testing.T, url string) *store.Store {
	t.Helper()
	s, err := store.Open(url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// wantAll makes calls that a server which takes no writes refuses.
func wantAll(t *testing.T, what string, s *store.Store, want error) {
	t.Helper()
	calls := map[string]func() error{
		"writable":      func() error { return s.Writable(t.Context()) },
		"claim a sweep": func() error { _, err := s.ClaimSweep(t.Context(), "x", "y", time.Second); return err },
		"unarmed":       func() error { _, err := s.Unarmed(t.Context(), 10); return err },
		"late messages": func() error {
			_, _, err := s.LateMessages(t.Context(), model.Channels(), store.Keyset{}, 10)
			return err
		},
		"a directory": func() error { return applyDirectory(t, s, hospital("Any")) },
	}
	for name, call := range calls {
		err := call()
		if want == nil {
			err = again(t, call)
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: %s = %v, want %v", what, name, err, want)
		}
	}
}

// again calls until the database is not away: a connection to the old primary may
// tell only when it is used.
func again(t *testing.T, call func() error) (err error) {
	t.Helper()
	testenv.Wait(t, "the database is back", func() bool {
		err = call()
		return !errors.Is(err, model.ErrUnavailable)
	})
	return err
}

func hospital(name string) string {
	return fmt.Sprintf("hospitals: [{code: TST, name: %s}]", name)
}

// TestAReplicaIsAwayUntilItIsPromoted: whoever is connected to one hears that the
// database is away, and goes on when it is the primary. A URL of both finds
// whichever takes writes.
func TestAReplicaIsAwayUntilItIsPromoted(t *testing.T) {
	t.Parallel()
	pair := testenv.PostgresPair(t, true)
	url := testenv.DatabaseOn(t, pair.Primary.DatabaseURL)
	both, replica := openStore(t, pair.URL(t, url)), openStore(t, pair.ReplicaURL(t, url))
	pair.CatchUp(t) // to the database itself
	wantAll(t, "the primary", both, nil)
	wantAll(t, "the replica", replica, model.ErrUnavailable)
	if _, err := replica.Verify(t.Context()); err != nil || replica.Ping(t.Context()) != nil {
		t.Errorf("verify of the replica = %v; what only reads may read there", err)
	}
	if err := pair.Primary.Postgres.Kill(); err != nil {
		t.Fatal(err)
	}
	wantAll(t, "a replica alone", both, model.ErrUnavailable)
	pair.FailOver(t)
	wantAll(t, "both, after the failover", both, nil)
	wantAll(t, "the replica, promoted", replica, nil)
}

// TestAnotherHistoryIsNotTakenForTheLostOne: after a failover that lost commits
// the new primary gives the same versions to something else.
func TestAnotherHistoryIsNotTakenForTheLostOne(t *testing.T) {
	t.Parallel()
	pair := testenv.PostgresPair(t, false)
	url := pair.URL(t, testenv.DatabaseOn(t, pair.Primary.DatabaseURL))
	s, other := openStore(t, url), openStore(t, url)
	rename := func(name string) {
		t.Helper()
		if err := again(t, func() error { return applyDirectory(t, other, hospital(name)) }); err != nil {
			t.Fatal(err)
		}
	}
	read := func() (version int64, name string) {
		t.Helper()
		err := again(t, func() error {
			dir, err := s.Directory(t.Context())
			if err == nil {
				version = dir.Version
				for _, h := range dir.Hospitals {
					name = h.Name
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return version, name
	}
	rename("Kept")
	pair.CatchUp(t)
	if err := pair.Replica.Postgres.Stop(); err != nil {
		t.Fatal(err)
	}
	rename("Lost")
	lost, name := read()
	if name != "Lost" {
		t.Fatalf("before the failover: %s", name)
	}
	pair.FailOver(t)
	rename("Another")
	if version, name := read(); version != lost || name != "Another" {
		t.Errorf("after the failover version %d is %s, want %d to be Another", version, name, lost)
	}
}

// TestADeadMachineBeforeThePrimaryIsPassedOver within what an intake waits.
func TestADeadMachineBeforeThePrimaryIsPassedOver(t *testing.T) {
	t.Parallel()
	dead, err := net.Listen("tcp", "127.0.0.1:0") // takes the connection and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dead.Close() })
	live := testenv.DatabaseURL(t)
	cfg, err1 := pgx.ParseConfig(live)
	u, err2 := url.Parse(live)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	u.Host = ""
	q := u.Query()
	q.Set("host", "127.0.0.1,"+cfg.Host)
	q.Set("port", fmt.Sprintf("%d,%d", dead.Addr().(*net.TCPAddr).Port, cfg.Port))
	u.RawQuery = q.Encode()
	s := openStore(t, u.String())
	err = again(t, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return s.Writable(ctx)
	})
	if err != nil {
		t.Errorf("writable = %v", err)
	}
}
