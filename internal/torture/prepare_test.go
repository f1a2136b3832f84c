package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestWhatCannotBeInjectedIsLeftOut, and the run says why.
func TestWhatCannotBeInjectedIsLeftOut(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	c := &cluster{dir: t.TempDir()}
	ready, err := c.prepare(t.Context(), config{px: "px", only: "clock step,rolling upgrade,kill worker", out: &out})
	require.NoError(t, err)
	assert.Equal(t, "kill worker", ready)
	assert.Contains(t, out.String(), "without clock step: ")
	assert.Contains(t, out.String(), "without rolling upgrade: ")
	_, err = c.prepare(t.Context(), config{tree: "../..", before: "no-such-commit", only: upgrade, out: &out})
	require.ErrorContains(t, err, "no fault is left")
	assert.Contains(t, out.String(), "this clone does not have the release before, no-such-commit")
}

// TestTheClockCanBeSet: the Go of now asks for the time as the fault expects it.
func TestTheClockCanBeSet(t *testing.T) {
	t.Parallel()
	pkg, err := timePackage(t.Context(), "../..")
	require.NoError(t, err)
	src, err := os.ReadFile(filepath.Join(pkg, "time.go"))
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(string(src), nowReads))
}

// TestAProcessBecomesAnother: it ends in order, which is no crash, and starts as the other.
func TestAProcessBecomesAnother(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := func(name, do string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+do+"\n"), 0o700))
		return path
	}
	const works = "echo process started; trap 'exit 0' TERM; while :; do sleep 0.05; done"
	p := &process{name: "worker", path: script("now", works), log: &lines{}, done: make(chan struct{})}
	t.Cleanup(func() { <-p.done }) // after the context has ended
	go p.keepUp(t.Context())
	require.NoError(t, await(t.Context(), upWait, "it starts", func() error {
		if p.log.starts() == 0 {
			return os.ErrNotExist
		}
		return nil
	}))
	require.NoError(t, p.become(t.Context(), script("before", works)))
	assert.Zero(t, p.crashes)
}
