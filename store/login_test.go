package store_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/samples"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// withPassword is a world in which one person has a password.
func withPassword(t *testing.T) (*scenario.World, *model.User) {
	t.Helper()
	w := scenario.New(t, nil)
	u := w.User("ruh-amal")
	if err := w.Store.SetPassword(t.Context(), u.ID, "hash 1"); err != nil {
		t.Fatal(err)
	}
	return w, u
}

func exec(t *testing.T, w *scenario.World, query string, args ...any) {
	t.Helper()
	if _, err := w.Store.DB().NewRaw(query, args...).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func login(t *testing.T, w *scenario.World, u *model.User) string {
	t.Helper()
	token, err := w.Store.Login(t.Context(), store.Login{User: u.ID, Hash: "hash 1"})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// lockOf is for how many seconds a person is locked.
func lockOf(t *testing.T, w *scenario.World, u *model.User) int {
	t.Helper()
	var s float64
	err := w.Store.DB().NewRaw(`SELECT coalesce(extract(epoch FROM locked_until - clock_timestamp()), 0) FROM credentials WHERE user_id = ?`, u.ID).Scan(t.Context(), &s)
	if err != nil {
		t.Fatal(err)
	}
	return int(s + 0.999)
}

func TestFailedAttemptsLockForLongerAndLonger(t *testing.T) {
	t.Parallel()
	w, u := withPassword(t)
	for i, want := range []int{0, 0, 0, 0, 30, 60, 120, 240, 480, 900, 900} {
		if hash, err := w.Store.Attempt(t.Context(), u.ID); err != nil || hash != "hash 1" {
			t.Fatalf("attempt %d = %q, %v", i+1, hash, err)
		}
		if got := lockOf(t, w, u); got > want || got < want-5 {
			t.Errorf("after %d failures locked for %d s, want %d", i+1, got, want)
		}
		if want > 0 {
			if _, err := w.Store.Attempt(t.Context(), u.ID); !errors.Is(err, model.ErrNotFound) {
				t.Errorf("an attempt while locked = %v", err)
			}
			exec(t, w, "UPDATE credentials SET locked_until = clock_timestamp() WHERE user_id = ?", u.ID)
		}
	}
	if _, err := w.Store.Attempt(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	login(t, w, u) // the last attempt was right
	if got := lockOf(t, w, u); got != 0 {
		t.Errorf("locked for %d s after a login", got)
	}
	if _, err := w.Store.Attempt(t.Context(), w.User("ruh-reem").ID); !errors.Is(err, model.ErrNotFound) {
		t.Errorf("an attempt of who has no password = %v", err)
	}
}

func TestManyAttemptsAtOnceAreNoMoreThanOneAfterTheOther(t *testing.T) {
	t.Parallel()
	w, u := withPassword(t)
	var taken atomic.Int32
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if _, err := w.Store.Attempt(t.Context(), u.ID); err == nil {
				taken.Add(1)
			}
		})
	}
	wg.Wait()
	if taken.Load() != 5 {
		t.Errorf("%d attempts were taken before the lock, want 5", taken.Load())
	}
}

func TestALoginNeedsThePasswordOfNow(t *testing.T) {
	t.Parallel()
	w, u := withPassword(t)
	if _, err := w.Store.Login(t.Context(), store.Login{User: u.ID, Hash: "hash 0"}); !errors.Is(err, model.ErrNotFound) {
		t.Errorf("login against an old hash = %v", err)
	}
	token, err := w.Store.Login(t.Context(), store.Login{User: u.ID, Hash: "hash 1", NewHash: "hash 1 anew"})
	if err != nil || len(token) < 43 {
		t.Fatalf("login = %q, %v", token, err)
	}
	if hash, err := w.Store.Attempt(t.Context(), u.ID); err != nil || hash != "hash 1 anew" {
		t.Errorf("hash = %q, %v", hash, err)
	}
	var kept int
	err = w.Store.DB().NewRaw("SELECT count(*) FROM sessions WHERE encode(id, 'escape') LIKE '%' || ? || '%' OR length(id) <> 32", token).Scan(t.Context(), &kept)
	if err != nil || kept != 0 {
		t.Errorf("the token itself is kept %d times, %v", kept, err)
	}
}

func TestVisitorsAreWhoseSessionLasts(t *testing.T) {
	t.Parallel()
	w, u := withPassword(t)
	token := login(t, w, u)
	v, err := w.Store.Visitor(t.Context(), token)
	if err != nil || v.User.ID != u.ID || !v.Access.Has(model.RightOperate) {
		t.Fatalf("visitor = %+v, %v", v.User, err)
	}
	gone := func(why string) {
		t.Helper()
		if _, err := w.Store.Visitor(t.Context(), token); !errors.Is(err, model.ErrNotFound) {
			t.Errorf("%s: %v", why, err)
		}
	}
	for why, end := range map[string]func() error{
		"over":           func() error { exec(t, w, "UPDATE sessions SET expires_at = clock_timestamp()"); return nil },
		"logged out":     func() error { return w.Store.Logout(t.Context(), token) },
		"all ended":      func() error { _, err := w.Store.EndSessions(t.Context(), u.ID); return err },
		"a new password": func() error { return w.Store.SetPassword(t.Context(), u.ID, "hash 1") },
		"another login": func() error {
			_, err := w.Store.Login(t.Context(), store.Login{User: u.ID, Hash: "hash 1", Old: token})
			return err
		},
	} {
		token = login(t, w, u)
		other := login(t, w, u)
		if err := end(); err != nil {
			t.Fatal(err)
		}
		gone(why)
		if _, err := w.Store.Visitor(t.Context(), other); (err == nil) != (why == "logged out" || why == "another login") {
			t.Errorf("%s: another browser: %v", why, err)
		}
	}
	token = "never given"
	gone(token)
	token = ""
	gone("no token")
}

func TestASessionMovesWithItsUse(t *testing.T) {
	t.Parallel()
	w, u := withPassword(t)
	token := login(t, w, u)
	for _, tt := range []struct {
		name              string
		age, idle         string // how long ago it began, and was last seen
		wantEnd, wantSeen time.Duration
	}{
		{"seen a moment ago: not written", "10 minutes", "50 seconds", 8*time.Hour - 50*time.Second, -50 * time.Second},
		{"seen a while ago", "4 hours", "3 hours", 8 * time.Hour, 0},
		{"a day is the end", "20 hours", "3 hours", 4 * time.Hour, 0},
	} {
		exec(t, w, `UPDATE sessions SET created_at = clock_timestamp() - ?::interval, last_seen_at = clock_timestamp() - ?::interval,
			expires_at = clock_timestamp() - ?::interval + interval '8 hours'`, tt.age, tt.idle, tt.idle)
		if _, err := w.Store.Visitor(t.Context(), token); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		now, err := w.Store.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ss, err := w.Store.Sessions(t.Context(), u.ID)
		if err != nil || len(ss) != 1 {
			t.Fatalf("sessions = %v, %v", ss, err)
		}
		near := func(got time.Time, want time.Duration) bool {
			return got.Sub(now.Machine.Add(want)).Abs() < 5*time.Second
		}
		if !near(ss[0].ExpiresAt, tt.wantEnd) || !near(ss[0].LastSeenAt, tt.wantSeen) {
			t.Errorf("%s: ends in %v, seen %v ago", tt.name, ss[0].ExpiresAt.Sub(now.Machine), now.Machine.Sub(ss[0].LastSeenAt))
		}
	}
}

func TestWhoLeavesIsNoVisitor(t *testing.T) {
	t.Parallel()
	w, u := withPassword(t)
	token := login(t, w, u)
	doc, err := sla.ParseDirectory(samples.Directory)
	if err != nil {
		t.Fatal(err)
	}
	no := false
	for i := range doc.Users {
		if doc.Users[i].Code == u.Code {
			doc.Users[i].Active = &no
		}
	}
	if _, err := w.Store.ApplyDirectory(t.Context(), doc); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Store.Visitor(t.Context(), token); !errors.Is(err, model.ErrNotFound) {
		t.Errorf("visitor who has left = %v", err)
	}
}

func TestOldSessionsAreDropped(t *testing.T) {
	t.Parallel()
	w, u := withPassword(t)
	login(t, w, u)
	exec(t, w, "UPDATE sessions SET expires_at = clock_timestamp()")
	kept := login(t, w, u)
	for _, want := range []int{1, 0} {
		if n, err := w.Store.DropSessions(t.Context()); err != nil || n != want {
			t.Errorf("dropped %d, %v; want %d", n, err, want)
		}
	}
	if _, err := w.Store.Visitor(t.Context(), kept); err != nil {
		t.Error(err)
	}
	if n, err := w.Store.EndSessions(t.Context(), u.ID); err != nil || n != 1 {
		t.Errorf("ended %d, %v", n, err)
	}
}
