package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
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

// VerifyRows does the checks that are queries.
func (s *Store) VerifyRows(ctx context.Context) ([]Finding, error) {
	all := make([]*Finding, len(checks()))
	for i, c := range checks() {
		all[i] = &Finding{Invariant: c.invariant, What: c.what, HealedBy: c.heal}
	}
	if err := s.verifySpan(ctx, "", span{}, all); err != nil {
		return nil, err
	}
	for _, table := range []string{"feedback", "actions"} {
		err := s.spans(ctx, table, func(in span) error { return s.verifySpan(ctx, table, in, all) })
		if err != nil {
			return nil, err
		}
	}
	return Found(all...), nil
}

// spans calls fn for spans that together cover a table, also what is not there
// any more or not there yet.
func (s *Store) spans(ctx context.Context, table string, fn func(span) error) error {
	for in := (span{}); in.hi != uuid.Max; in.lo = in.hi {
		err := mapErr(s.db.NewRaw("SELECT id FROM ? WHERE id > ? ORDER BY id OFFSET ? LIMIT 1", bun.Ident(table), in.lo, verifySpan-1).Scan(ctx, &in.hi))
		if isNotFound(err) {
			in.hi = uuid.Max
		} else if err != nil {
			return fmt.Errorf("divide %s: %w", table, err)
		}
		if err := fn(in); err != nil {
			return err
		}
	}
	return nil
}

// verifySpan runs the checks of a table over a span of it, and adds what they
// find to all, which is in the order of checks.
func (s *Store) verifySpan(ctx context.Context, table string, in span, all []*Finding) error {
	results := make([][]string, len(all))
	counts := make([]int64, len(all))
	err := s.db.RunInTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, func(ctx context.Context, tx bun.Tx) error {
		r, err := readState(ctx, tx)
		if err != nil {
			return err
		}
		now := r.now()
		settled := now.Machine.Add(-flight)
		// A span is a small part of its table, whatever the planner thinks of
		// what it is joined to.
		if _, err := tx.ExecContext(ctx, "SET LOCAL enable_seqscan = off; SET LOCAL jit = off"); err != nil {
			return fmt.Errorf("prepare the checks: %w", err)
		}
		for i, c := range checks() {
			if c.over != table {
				continue
			}
			var row struct {
				N        int64
				Examples []string `bun:",array"`
			}
			q := fmt.Sprintf(`/* px verify: %s */ SELECT count(*) AS n, coalesce(array_agg(id) FILTER (WHERE no <= %d), '{}') AS examples
				FROM (SELECT id, row_number() OVER () AS no FROM (%s) AS broken (id)) AS numbered`, c.what, MaxExamples, c.query)
			if err := tx.NewRaw(q, settled, now.Clock.Virtual(settled), in.lo, in.hi).Scan(ctx, &row); err != nil {
				return fmt.Errorf("check %q: %w", c.what, err)
			}
			counts[i], results[i] = row.N, row.Examples
		}
		return nil
	})
	if err != nil {
		return mapErr(err)
	}
	for i, f := range all {
		f.Count += counts[i]
		f.Examples = append(f.Examples, results[i][:min(len(results[i]), MaxExamples-len(f.Examples))]...)
	}
	return nil
}
