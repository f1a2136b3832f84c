package crowd

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/uptrace/bun"
)

// mostSorted is how many rows a page of a list may sort.
const mostSorted = 50_000

// Plans keeps the statements that read actions, as a hook of bun, and looks at
// how PostgreSQL runs them. The zero value is ready.
type Plans struct {
	mu      sync.Mutex
	queries []string
}

// BeforeQuery implements bun.QueryHook.
func (p *Plans) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context { return ctx }

// AfterQuery implements bun.QueryHook.
func (p *Plans) AfterQuery(_ context.Context, e *bun.QueryEvent) {
	reads := strings.HasPrefix(e.Query, "SELECT") || strings.HasPrefix(e.Query, "WITH")
	if reads && strings.Contains(e.Query, `"actions"`) || strings.HasPrefix(e.Query, setting) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.queries = append(p.queries, e.Query)
	}
}

// setting begins what changes how plans are made, for a transaction.
const setting = "SET LOCAL"

// Forget forgets what was kept.
func (p *Plans) Forget() { p.take() }

func (p *Plans) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	queries := p.queries
	p.queries = nil
	return queries
}

// Faults runs what was kept once more and tells what is wrong with how it is
// run: all actions read from end to end, or too many rows sorted. Nothing kept is an
// error.
func (p *Plans) Faults(ctx context.Context, db bun.IDB) ([]string, error) {
	queries := p.take()
	if len(queries) == 0 {
		return nil, fmt.Errorf("explain: no statement was kept")
	}
	var faults []string
	err := db.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		for _, q := range queries {
			if strings.HasPrefix(q, setting) {
				if _, err := tx.NewRaw("?", bun.Safe(q)).Exec(ctx); err != nil {
					return fmt.Errorf("explain: %w", err)
				}
				continue
			}
			var raw string
			if err := tx.NewRaw("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) ?", bun.Safe(q)).Scan(ctx, &raw); err != nil {
				return fmt.Errorf("explain: %w", err)
			}
			var plans []struct{ Plan node }
			if err := json.Unmarshal([]byte(raw), &plans); err != nil || len(plans) != 1 {
				return fmt.Errorf("explain: not a plan: %w", err)
			}
			faults = append(faults, plans[0].Plan.faults()...)
		}
		return nil
	})
	return faults, err
}

// node is what is read of a query plan.
type node struct {
	Type     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Rows     float64 `json:"Actual Rows"`
	Loops    float64 `json:"Actual Loops"`
	Plans    []node
}

func (n node) faults() []string {
	var all []string
	if n.Type == "Seq Scan" && n.Relation == "actions" {
		all = append(all, "reads all of "+n.Relation)
	}
	for _, p := range n.Plans {
		if rows := p.Rows * p.Loops; strings.HasSuffix(n.Type, "Sort") && rows > mostSorted {
			all = append(all, fmt.Sprintf("sorts %.0f rows", rows))
		}
		all = append(all, p.faults()...)
	}
	return all
}
