package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"golang.org/x/sync/errgroup"
)

// Finding is one way in which the data break an invariant.
type Finding struct {
	Invariant string   `json:"invariant"` // I1 … I7 of the design
	What      string   `json:"what"`
	Count     int64    `json:"count"`
	Examples  []string `json:"examples"` // ids of up to five rows
	// HealedBy names the sweep that mends it by itself; empty: a person has to.
	HealedBy string `json:"healed_by,omitempty"`
}

// MaxExamples is how many rows a finding names.
const MaxExamples = 5

// Add counts one more row of the finding and keeps it if there is room.
func (f *Finding) Add(id string) {
	if f.Count++; len(f.Examples) < MaxExamples {
		f.Examples = append(f.Examples, id)
	}
}

// Found are those findings that found anything, in their order.
func Found(all ...*Finding) []Finding {
	var found []Finding
	for _, f := range all {
		if f.Count > 0 {
			found = append(found, *f)
		}
	}
	return found
}

// flight is how long (machine time) something may be under way before Verify
// calls it lost: far above the promise of the sweeps.
const flight = time.Minute

// verifySpan is how many rows of a table the checks look at in one snapshot, so
// that neither memory nor the age of a snapshot grows with the ledger.
const verifySpan = 20_000

// span is a part of a table by its ids: behind lo, up to and with hi.
type span struct{ lo, hi uuid.UUID }

// Verify reads the whole ledger, span by span, each under one snapshot, and
// returns every finding; none means that the invariants hold. What is in flight
// is left out. It locks nothing.
func (s *Store) Verify(ctx context.Context) ([]Finding, error) {
	found, err := s.VerifyRows(ctx)
	if err != nil {
		return nil, err
	}
	plans, err := s.VerifyPlans(ctx)
	return append(found, plans...), err
}

// tally is what the checks have found so far, in their order.
type tally struct {
	mu  sync.Mutex
	all [][]*Finding // by check, and by what it finds
}

func newTally() *tally {
	t := &tally{}
	for _, c := range checks() {
		var fs []*Finding
		for _, what := range c.names() {
			fs = append(fs, &Finding{Invariant: c.invariant, What: what, HealedBy: c.heal})
		}
		t.all = append(t.all, fs)
	}
	return t
}

// verifySpans is how many spans are looked at side by side.
const verifySpans = 2

// VerifyRows does the checks that are queries.
func (s *Store) VerifyRows(ctx context.Context) ([]Finding, error) {
	t := newTally()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(verifySpans)
	g.Go(func() error { return s.verifySpan(gctx, "", span{}, t) })
	for _, table := range []string{"feedback", "actions"} {
		err := s.spans(gctx, table, func(in span) {
			g.Go(func() error { return s.verifySpan(gctx, table, in, t) })
		})
		if err != nil {
			return nil, errors.Join(err, g.Wait())
		}
	}
	err := g.Wait()
	return Found(slices.Concat(t.all...)...), err
}

// spans calls fn with spans that together cover a table, also what is not there
// any more or not there yet.
func (s *Store) spans(ctx context.Context, table string, fn func(span)) error {
	for in := (span{}); in.hi != uuid.Max; in.lo = in.hi {
		err := mapErr(s.db.NewRaw("SELECT id FROM ? WHERE id > ? ORDER BY id OFFSET ? LIMIT 1", bun.Ident(table), in.lo, verifySpan-1).Scan(ctx, &in.hi))
		if isNotFound(err) {
			in.hi = uuid.Max
		} else if err != nil {
			return fmt.Errorf("divide %s: %w", table, err)
		}
		fn(in)
	}
	return nil
}

// verifySpan runs the checks of a table over a span of it.
func (s *Store) verifySpan(ctx context.Context, table string, in span, t *tally) error {
	var found [][]brokenRows
	err := s.db.RunInTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, func(ctx context.Context, tx bun.Tx) error {
		found = make([][]brokenRows, len(t.all))
		r, err := s.readState(ctx, tx)
		if err != nil {
			return err
		}
		now := r.now()
		settled := now.Machine.Add(-flight)
		// A span is a small part of its table, whatever the planner thinks of
		// what it is joined to: no more is worth reading, nor more processes than
		// one, and what is sorted of it fits into memory.
		if _, err := tx.ExecContext(ctx, "SET LOCAL enable_seqscan = off; SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL work_mem = '32MB'"); err != nil {
			return fmt.Errorf("prepare the checks: %w", err)
		}
		for i, c := range checks() {
			if c.over != table {
				continue
			}
			if err := tx.NewRaw(c.counting(), settled, now.Clock.Virtual(settled), in.lo, in.hi).Scan(ctx, &found[i]); err != nil {
				return fmt.Errorf("check %q: %w", c.what, err)
			}
		}
		return nil
	})
	if err != nil {
		return mapErr(err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, rows := range found {
		for _, r := range rows {
			f := t.all[i][r.No]
			f.Count += r.N
			f.Examples = append(f.Examples, r.Examples[:min(len(r.Examples), MaxExamples-len(f.Examples))]...)
		}
	}
	return nil
}

// brokenRows are rows of a span that break one thing in the same way.
type brokenRows struct {
	No       int // of the check's names
	N        int64
	Examples []string `bun:",array"`
}

// counting is the check's query, counted, with five examples. Its comment tells
// who looks at the database's activity what is going on.
func (c check) counting() string {
	no := "0"
	if len(c.also) > 0 {
		no = "no"
	}
	columns := strings.TrimSuffix("id, "+no, ", 0")
	return fmt.Sprintf(`/* px verify: %s */ SELECT no, count(*) AS n, array_agg(id) FILTER (WHERE place <= %d) AS examples FROM (
			SELECT id, %s AS no, row_number() OVER (PARTITION BY %s) AS place FROM (%s) AS broken (%s)) AS numbered GROUP BY no`,
		c.what, MaxExamples, no, no, c.query, columns)
}
