package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/internal/listbench/crowd"
	"github.com/pxactions/px/migrations"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

//go:embed action_logs.sql
var actionLogs string

//go:embed messages.sql
var messages string

// fillers are the statements that swell each table: five rows of each action from
// ?0 to ?1 of ?2.
func fillers() map[string]string {
	return map[string]string{"action_logs": actionLogs, "messages": messages}
}

const (
	perAction = 5
	// chunk is how many actions' rows one statement makes.
	chunk = 500_000
)

// bench is a filled database and what was measured in it.
type bench struct {
	cfg      config
	fill     *store.Store
	store    *store.Store // with one connection: all that is measured is seen in one process of the server
	progress io.Writer
	sizes    []size
}

// people makes the crowd, unless it is there, under a policy that keeps nothing for
// longer than 30 days.
func (b *bench) people(ctx context.Context) error {
	db := b.fill.DB()
	if _, err := migrations.Up(ctx, db); err != nil {
		return err
	}
	var filled bool
	if err := db.NewRaw("SELECT EXISTS (SELECT FROM actions)").Scan(ctx, &filled); err != nil || filled {
		return err
	}
	if err := crowd.Fill(ctx, db, b.cfg.actions, crowd.Lives()...); err != nil {
		return err
	}
	p, err := sla.ParsePolicy([]byte("retention: {words_days: 30, messages_days: 30}"))
	if err != nil {
		return err
	}
	_, _, err = b.fill.ApplyPolicy(ctx, p, "sizebench", "")
	return err
}

// swell makes the table have n rows: those of the crowd, and before them rows of
// actions that ended earlier. Constraints and indexes are made afterwards.
func (b *bench) swell(ctx context.Context, n int) error {
	conn, err := b.fill.DB().Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	var parts []struct{ Drop, Make string }
	// What other tables refer by comes last, and goes first.
	err = conn.NewRaw(`SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS drop,
			format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) AS make
		FROM pg_constraint WHERE conrelid = ?0::regclass AND contype IN ('p', 'u') OR confrelid = ?0::regclass ORDER BY contype = 'f', conname`, b.cfg.table).Scan(ctx, &parts)
	if err != nil {
		return err
	}
	var indexes []struct{ Drop, Make string }
	err = conn.NewRaw(`SELECT format('DROP INDEX %s', indexrelid::regclass) AS drop, pg_get_indexdef(indexrelid) AS make FROM pg_index
		WHERE indrelid = ?0::regclass AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid) ORDER BY indexrelid`, b.cfg.table).Scan(ctx, &indexes)
	if err != nil {
		return err
	}
	parts = slices.Concat(indexes, parts)
	drop := []string{"BEGIN", "SET LOCAL session_replication_role = replica",
		"CREATE TEMPORARY TABLE kept ON COMMIT DROP AS SELECT * FROM ?0 WHERE action_id IN (SELECT id FROM actions)"}
	for _, p := range slices.Backward(parts) {
		drop = append(drop, p.Drop)
	}
	for _, sql := range append(drop, "TRUNCATE ?0") { // a table truncated by its transaction needs no WAL
		if _, err := conn.NewRaw(sql, bun.Ident(b.cfg.table)).Exec(ctx); err != nil {
			return fmt.Errorf("swell: %.60q: %w", sql, err)
		}
	}
	all := n / perAction
	for from := 1; from <= all; from += chunk {
		begun, to := time.Now(), min(all, from+chunk-1)
		if _, err := conn.NewRaw(fillers()[b.cfg.table], from, to, all).Exec(ctx); err != nil {
			return fmt.Errorf("swell: %w", err)
		}
		fmt.Fprintf(b.progress, "  actions up to %d of %d: %.0f s\n", to, all, time.Since(begun).Seconds())
	}
	fill := []string{"INSERT INTO ?0 SELECT * FROM kept", "COMMIT"}
	for _, p := range parts {
		fill = append(fill, p.Make)
	}
	for _, sql := range append(fill, "VACUUM ANALYZE ?0", "CHECKPOINT") {
		begun := time.Now()
		if _, err := conn.NewRaw(sql, bun.Ident(b.cfg.table)).Exec(ctx); err != nil {
			return fmt.Errorf("swell: %.60q: %w", sql, err)
		}
		fmt.Fprintf(b.progress, "  %.70s: %.0f s\n", sql, time.Since(begun).Seconds())
	}
	return nil
}
