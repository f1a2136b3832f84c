package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

func TestAnOutageOfPostgreSQL(t *testing.T) {
	t.Parallel()
	env := testenv.OwnServers(t)
	s, err := store.Open(testenv.DatabaseOn(t, env.DatabaseURL), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := scenario.Seed(t.Context(), s, nil); err != nil {
		t.Fatal(err)
	}
	calls := map[string]func() error{
		"ping": func() error { return s.Ping(t.Context()) },
		"now":  func() error { _, err := s.Now(t.Context()); return err },
		"create": func() error {
			_, _, err := s.Create(t.Context(), []model.FeedbackID{model.NewID[model.Feedback](), model.NewID[model.Feedback]()})
			return err
		},
		"fire": func() error {
			_, _, err := s.Fire(t.Context(), []store.DeadlineRef{{ActionID: model.NewID[model.Action](), Gen: 1}, {ActionID: model.NewID[model.Action](), Gen: 1}})
			return err
		},
		"claim messages": func() error {
			_, err := s.ClaimMessages(t.Context(), model.Channels(), []store.MessageRef{{ID: model.NewID[model.Message]()}})
			return err
		},
		"late deadlines": func() error { _, _, err := s.LateDeadlines(t.Context(), store.Keyset{}, 10); return err },
		"claim a sweep":  func() error { _, err := s.ClaimSweep(t.Context(), "x", "y", time.Second); return err },
		"verify":         func() error { _, err := s.Verify(t.Context()); return err },
	}
	for name, call := range calls {
		if err := call(); err != nil {
			t.Errorf("%s before the outage = %v", name, err)
		}
	}
	if err := env.Postgres.Kill(); err != nil {
		t.Fatal(err)
	}
	for name, call := range calls {
		start := time.Now()
		err := call()
		if !errors.Is(err, model.ErrUnavailable) || time.Since(start) > 5*time.Second {
			t.Errorf("%s without PostgreSQL = %v after %s, want unavailable at once", name, err, time.Since(start))
		}
		if err != nil && strings.Contains(err.Error(), "postgres://") {
			t.Errorf("%s tells the URL: %v", name, err)
		}
	}
	if err := env.Postgres.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, call := range calls {
		if err := call(); err != nil {
			t.Errorf("%s with PostgreSQL back = %v", name, err)
		}
	}
}
