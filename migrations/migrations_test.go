package migrations_test

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/migrations"
)

// open connects to a database of the test's own; a process has a pool of its own.
func open(t *testing.T, url string) *bun.DB {
	t.Helper()
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	db := bun.NewDB(stdlib.OpenDB(*cfg), pgdialect.New())
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// scratch is a database without any table.
func scratch(t *testing.T) (url string, db *bun.DB) {
	t.Helper()
	url = testenv.DatabaseURL(t)
	db = open(t, url)
	if _, err := db.Exec("DROP SCHEMA public CASCADE; CREATE SCHEMA public"); err != nil {
		t.Fatal(err)
	}
	return url, db
}

// shape is every column, constraint, index and trigger of the program's own
// tables, and every function.
func shape(t *testing.T, db *bun.DB) []string {
	t.Helper()
	var lines []string
	err := db.NewRaw(`SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '')
			FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE 'bun%'
		UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
			WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text NOT LIKE 'bun%'
		UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
		UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
		UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename NOT LIKE 'bun%'
		ORDER BY 1`).Scan(t.Context(), &lines)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestUpDownUp(t *testing.T) {
	t.Parallel()
	_, db := scratch(t)
	all, err := migrations.Pending(t.Context(), db)
	if err != nil || len(all) == 0 {
		t.Fatalf("pending on an empty database = %v, %v; want all", all, err)
	}
	if tables := shape(t, db); len(tables) != 0 {
		t.Errorf("asking for what is pending made %v", tables)
	}
	applied, err := migrations.Up(t.Context(), db)
	if err != nil || !slices.Equal(applied, all) {
		t.Fatalf("up = %v, %v; want %v", applied, err, all)
	}
	first := shape(t, db)
	if pending, err := migrations.Pending(t.Context(), db); err != nil || len(pending) != 0 {
		t.Errorf("pending after up = %v, %v; want none", pending, err)
	}
	if again, err := migrations.Up(t.Context(), db); err != nil || len(again) != 0 {
		t.Errorf("a second up = %v, %v; want nothing to do", again, err)
	}
	if err := migrations.Down(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if left := shape(t, db); len(left) != 0 {
		t.Errorf("down leaves %v", left)
	}
	if pending, err := migrations.Pending(t.Context(), db); err != nil || !slices.Equal(pending, all) {
		t.Errorf("pending after down = %v, %v; want all", pending, err)
	}
	if _, err := migrations.Up(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if second := shape(t, db); !slices.Equal(first, second) {
		t.Error("up, down and up again makes another schema than up")
	}
}

// TestANewerSchemaIsLeftAlone: while px is upgraded, and after it was rolled back, a
// release meets the migrations of the one after it.
func TestANewerSchemaIsLeftAlone(t *testing.T) {
	t.Parallel()
	db := open(t, testenv.DatabaseURL(t))
	if _, err := db.Exec("INSERT INTO bun_migrations (name, group_id, migrated_at) VALUES ('9999', 99, now())"); err != nil {
		t.Fatal(err)
	}
	before := shape(t, db)
	if pending, err := migrations.Pending(t.Context(), db); err != nil || len(pending) != 0 {
		t.Errorf("pending = %v, %v; want none", pending, err)
	}
	if applied, err := migrations.Up(t.Context(), db); err != nil || len(applied) != 0 {
		t.Errorf("up = %v, %v; want nothing to do", applied, err)
	}
	var left int
	if err := db.NewRaw("SELECT count(*) FROM bun_migrations WHERE name = '9999'").Scan(t.Context(), &left); err != nil || left != 1 {
		t.Errorf("%d marks of the later migration are left, %v", left, err)
	}
	if !slices.Equal(shape(t, db), before) {
		t.Error("the schema is another")
	}
}

// TestNoMigrationQueuesEverybody: one that waits for a lock has every reader and
// writer of its table wait behind it, so it gives up soon.
func TestNoMigrationQueuesEverybody(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(migrations.FS, "*.tx.*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("files = %v, %v", files, err)
	}
	for _, name := range files {
		if name == "0001_init.tx.down.sql" { // takes everything away, and is frozen
			continue
		}
		sql, err := fs.ReadFile(migrations.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(sql), "--bun:split")
		if !strings.Contains(first, "SET LOCAL lock_timeout = '5s';") {
			t.Errorf("%s does not bound its wait for locks before all else", name)
		}
	}
}

func TestSeveralProcessesMigrateAtOnce(t *testing.T) {
	t.Parallel()
	url, db := scratch(t)
	var mu sync.Mutex
	var wg sync.WaitGroup
	var worked [][]string
	for range 4 {
		mine := open(t, url)
		wg.Go(func() {
			applied, err := migrations.Up(t.Context(), mine)
			if err != nil {
				t.Errorf("up: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			if len(applied) > 0 {
				worked = append(worked, applied)
			}
		})
		wg.Go(func() { // a process that only looks makes nobody stumble
			if _, err := migrations.Pending(t.Context(), mine); err != nil {
				t.Errorf("pending: %v", err)
			}
		})
	}
	wg.Wait()
	if len(worked) != 1 {
		t.Errorf("worked = %v, want one process alone", worked)
	}
	if pending, err := migrations.Pending(t.Context(), db); err != nil || len(pending) != 0 {
		t.Errorf("pending = %v, %v; want none", pending, err)
	}
}

func TestAFailedMigrationLeavesNothing(t *testing.T) {
	t.Parallel()
	_, db := scratch(t)
	if _, err := db.Exec("CREATE TABLE sweeps (x int)"); err != nil { // the last table of the first migration
		t.Fatal(err)
	}
	if _, err := migrations.Up(t.Context(), db); err == nil || !strings.Contains(err.Error(), "sweeps") {
		t.Fatalf("up = %v, want the fault", err)
	}
	if lines := shape(t, db); len(lines) != 1 {
		t.Errorf("a failed migration leaves %v", lines)
	}
	if pending, err := migrations.Pending(t.Context(), db); err != nil || len(pending) == 0 {
		t.Errorf("pending = %v, %v; want it still to be applied", pending, err)
	}
	if _, err := db.Exec("DROP TABLE sweeps"); err != nil {
		t.Fatal(err)
	}
	if _, err := migrations.Up(t.Context(), db); err != nil {
		t.Errorf("up with the fault mended = %v", err)
	}
}

func TestALeavingCallerEndsTheWait(t *testing.T) {
	t.Parallel()
	url, db := scratch(t)
	other := open(t, url)
	conn, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(t.Context(), "SELECT pg_advisory_lock(hashtext('px migrations'))"); err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	end := make(chan error, 1)
	go func() {
		_, err := migrations.Up(ctx, db)
		end <- err
	}()
	leave()
	if err := <-end; err == nil {
		t.Error("up went on without its caller")
	}
}
