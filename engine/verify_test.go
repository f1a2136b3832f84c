package engine_test

import (
	"strings"
	"testing"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/tasks"
)

func TestVerifyFindsJobsThatRedisLacks(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, nil)
	rdb, err := tasks.NewRedis(testenv.RedisURL(t), tasks.RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	q := tasks.NewQueue(rdb, tasks.QueueOptions{})
	w.Engine = w.NewEngine(q, w.Engine.Notify)
	if _, err := w.Engine.Decide(t.Context(), w.Insert(w.Complaints(9, model.SeverityHigh)...)); err != nil {
		t.Fatal(err)
	}
	if found, err := w.Engine.Verify(t.Context(), q); err != nil || len(found) != 0 {
		t.Fatalf("findings = %+v, %v; want none", found, err)
	}
	if err := rdb.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	found, err := w.Engine.Verify(t.Context(), q)
	if err != nil || len(found) != 1 || found[0].Invariant != "I2" || found[0].Count != 9 || len(found[0].Examples) != 5 {
		t.Fatalf("findings = %+v, %v; want nine jobs missing", found, err)
	}
	if id := found[0].Examples[0]; !strings.HasPrefix(id, "ack1.") {
		t.Errorf("example = %q, want a task's id", id)
	}
	// Without a queue to ask, the ledger alone is checked.
	if found, err := w.Engine.Verify(t.Context(), nil); err != nil || len(found) != 0 {
		t.Errorf("findings = %+v, %v; want none", found, err)
	}
}
