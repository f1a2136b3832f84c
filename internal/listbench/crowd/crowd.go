// Package crowd fills a database with as many actions as a group of hospitals
// has after years, and names filters of them that are as hard as they get: for
// the benchmark of the list, and for the test that its indexes are there.
package crowd

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/uptrace/bun"
)

//go:embed crowd.sql
var script string

//go:embed lives.sql
var lives string

// Lives are statements for Fill: what the crowd has lived through, so that every
// invariant holds.
func Lives() []string { return strings.Split(lives, "--bun:split") }

// Fill adds ten hospitals with 20 departments and 200 people each, and n actions
// of three years: 92 % have ended, 1 % are critical, 1 % restricted; some
// departments, people and words have far more than others. The database is
// migrated and has no actions. more are statements that follow, before what was
// added is indexed.
func Fill(ctx context.Context, db *bun.DB, n int, more ...string) error {
	conn, err := db.Conn(ctx) // the script has a temporary table
	if err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	defer func() { _ = conn.Close() }()
	// Filling an index row by row takes several times as long as making it.
	var indexes []struct{ Name, Definition string }
	err = conn.NewRaw(`SELECT indexrelid::regclass AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index
		WHERE indrelid IN ('actions'::regclass, 'action_words'::regclass, 'feedback'::regclass, 'action_logs'::regclass, 'deadline_events'::regclass, 'messages'::regclass)
			AND NOT indisunique`).Scan(ctx, &indexes)
	if err != nil {
		return fmt.Errorf("list the indexes: %w", err)
	}
	var drop, create []string
	for _, i := range indexes {
		drop, create = append(drop, "DROP INDEX "+i.Name), append(create, i.Definition)
	}
	for _, sql := range slices.Concat(drop, strings.Split(script, "--bun:split"), more, create, []string{"VACUUM ANALYZE"}) {
		if _, err := conn.NewRaw(sql, n, 20, 200).Exec(ctx); err != nil {
			return fmt.Errorf("fill: %.60q: %w", sql, err)
		}
	}
	return nil
}
