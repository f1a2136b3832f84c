package main

import (
	"strings"
	"testing"

	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/samples"
	"github.com/pxactions/px/store"
)

func TestHygieneDropsOldSessions(t *testing.T) {
	t.Parallel()
	s := settingsFrom(t, "--database-url="+testenv.DatabaseURL(t), "--redis-url="+testenv.RedisURL(t), "--log-level=error")
	a, err := open(t.Context(), s, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	if err := applySamples(t.Context(), a.store, samples.Policy); err != nil {
		t.Fatal(err)
	}
	u, err := person(t.Context(), a.store, "ruh-amal")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.store.SetPassword(t.Context(), u.ID, "hash"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.store.Login(t.Context(), store.Login{User: u.ID, Hash: "hash"}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.store.DB().ExecContext(t.Context(), "UPDATE sessions SET expires_at = clock_timestamp()"); err != nil {
		t.Fatal(err)
	}
	if err := a.hygiene(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := a.store.DropSessions(t.Context()); err != nil || n != 0 {
		t.Errorf("%d old sessions were left, %v", n, err)
	}
}

func TestFirstLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"one\ntwo\n": "one", "one": "one", "one \r\n": "one ", "": "", "\n": ""} {
		if got, err := firstLine(strings.NewReader(in)); err != nil || got != want {
			t.Errorf("first line of %q = %q, %v", in, got, err)
		}
	}
}
