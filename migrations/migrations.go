// Package migrations holds the schema: embedded SQL that goes forward, and the
// calls that apply it. A file named NNNN_name.tx.up.sql runs in one
// transaction and is marked applied only when it succeeded.
package migrations

import (
	"context"
	"embed"
	"fmt"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/migrate"
)

// FS holds the SQL files.
//
//go:embed *.sql
var FS embed.FS

// Up applies every migration that has not been applied yet and returns their
// names. Several processes may call it at once: one works, the others wait.
func Up(ctx context.Context, db *bun.DB) ([]string, error) {
	var applied []string
	err := withMigrator(ctx, db, func(m *migrate.Migrator) error {
		group, err := m.Migrate(ctx)
		if err != nil {
			return fmt.Errorf("migrate up: %w", err)
		}
		for _, one := range group.Migrations {
			applied = append(applied, one.Name+"_"+one.Comment)
		}
		return nil
	})
	return applied, err
}

// Down takes back the last group of migrations. For development: a landed
// release only goes forward.
func Down(ctx context.Context, db *bun.DB) error {
	return withMigrator(ctx, db, func(m *migrate.Migrator) error {
		if _, err := m.Rollback(ctx); err != nil {
			return fmt.Errorf("migrate down: %w", err)
		}
		return nil
	})
}

// Pending names the migrations that have not been applied; none means the
// schema is as this program needs it.
func Pending(ctx context.Context, db *bun.DB) ([]string, error) {
	ms, err := embedded()
	if err != nil {
		return nil, err
	}
	// It only looks: a process that starts while another migrates must not make
	// the tables under its hands.
	var begun bool
	if err := db.NewRaw("SELECT to_regclass('bun_migrations') IS NOT NULL").Scan(ctx, &begun); err != nil {
		return nil, fmt.Errorf("migration status: %w", err)
	}
	all := ms.Sorted()
	if begun {
		if all, err = migrator(db, ms).MigrationsWithStatus(ctx); err != nil {
			return nil, fmt.Errorf("migration status: %w", err)
		}
	}
	var names []string
	for _, one := range all.Unapplied() {
		names = append(names, one.Name+"_"+one.Comment)
	}
	return names, nil
}

func embedded() (*migrate.Migrations, error) {
	ms := migrate.NewMigrations()
	if err := ms.Discover(FS); err != nil {
		return nil, fmt.Errorf("read embedded migrations: %w", err)
	}
	return ms, nil
}

func migrator(db *bun.DB, ms *migrate.Migrations) *migrate.Migrator {
	return migrate.NewMigrator(db, ms, migrate.WithMarkAppliedOnSuccess(true))
}

// lockPoll is how often a migrator asks whether the one before it is done.
const lockPoll = 50 * time.Millisecond

// waitForOthers takes the migrators' lock. It asks again and again, for a
// statement that waits would hold a snapshot, and an index built concurrently by
// who has the lock waits for all of those.
func waitForOthers(ctx context.Context, conn bun.Conn) error {
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		var taken bool
		if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock(hashtext('px migrations'))").Scan(&taken); err != nil || taken {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// withMigrator runs fn under a session advisory lock on one connection, so that
// a crash frees the lock with the connection.
func withMigrator(ctx context.Context, db *bun.DB, fn func(*migrate.Migrator) error) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if err := waitForOthers(ctx, conn); err != nil {
		return fmt.Errorf("wait for other migrations: %w", err)
	}
	defer func() {
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(hashtext('px migrations'))")
	}()
	ms, err := embedded()
	if err != nil {
		return err
	}
	m := migrator(db, ms)
	if err := m.Init(ctx); err != nil {
		return fmt.Errorf("migration tables: %w", err)
	}
	return fn(m)
}
