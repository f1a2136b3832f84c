package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/internal/testenv"
)

// TestAWrongClockIsTold: once when it is noticed, once when it is right again; and
// what leaves the process goes by PostgreSQL's.
func TestAWrongClockIsTold(t *testing.T) {
	t.Parallel()
	url := testenv.DatabaseURL(t)
	s := settingsFrom(t, "--database-url="+url+"&search_path=set,pg_catalog,public", "--redis-url="+testenv.RedisURL(t))
	a, err := open(t.Context(), s, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	var out bytes.Buffer
	a.log = zerolog.New(&out)
	if a.tellClock(t.Context(), false) || a.checkClock().Run(t.Context()) != nil || out.Len() > 0 {
		t.Fatalf("clocks that agree are told of: %s", out.String())
	}
	// To this process, PostgreSQL's clock is ten minutes on.
	if _, err := a.store.DB().Exec(`CREATE SCHEMA set; CREATE FUNCTION set.clock_timestamp() RETURNS timestamptz LANGUAGE sql
		AS 'SELECT pg_catalog.clock_timestamp() + interval ''10 minutes'''`); err != nil {
		t.Fatal(err)
	}
	const behind = "this machine's clock is 10m0s behind PostgreSQL's"
	wrong := a.tellClock(t.Context(), false)
	if !wrong || !strings.Contains(out.String(), behind) {
		t.Errorf("told %s, want %q", out.String(), behind)
	}
	if err := a.checkClock().Run(t.Context()); err == nil || err.Error() != behind {
		t.Errorf("readiness says %v, want %q", err, behind)
	}
	if now := a.store.MachineNow(); time.Until(now.Add(-10*time.Minute)).Abs() > time.Minute {
		t.Errorf("machine time is %s from this machine's, want PostgreSQL's", time.Until(now))
	}
	out.Reset()
	if !a.tellClock(t.Context(), wrong) || out.Len() > 0 {
		t.Errorf("told again: %s", out.String())
	}
	if _, err := a.store.DB().Exec("DROP SCHEMA set CASCADE"); err != nil {
		t.Fatal(err)
	}
	if a.tellClock(t.Context(), wrong) || !strings.Contains(out.String(), "clocks agree again") {
		t.Errorf("told %s, want that they agree", out.String())
	}
}
