package testenv

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"github.com/pxactions/px/migrations"
)

// templateLock is the advisory lock under which templates are made.
const templateLock = 7_015_310_117

// schema is what a template database holds: up makes it, and files are all that
// its content depends on.
type schema struct {
	files fs.FS
	up    func(context.Context, *bun.DB) error
}

func pxSchema() schema {
	return schema{files: migrations.FS, up: func(ctx context.Context, db *bun.DB) error {
		_, err := migrations.Up(ctx, db)
		return err
	}}
}

// newDatabase copies the schema's template into a database for one test.
func newDatabase(tb testing.TB, serverURL string, s schema) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), startWait)
	defer cancel()
	name := "px_test_" + rand.Text()
	dbURL, err := withDatabase(serverURL, name)
	if err != nil {
		tb.Fatalf("database for this test: %v", err)
	}
	if err := createDatabase(ctx, serverURL, name, s); err != nil {
		tb.Fatalf("database for this test: %v", err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupWait)
		defer cancel()
		conn, err := connect(ctx, serverURL)
		if err != nil {
			tb.Logf("database %s is not dropped: %v", name, err) // the test stopped its server
			return
		}
		defer func() { _ = conn.Close(ctx) }()
		if _, err := conn.Exec(ctx, "DROP DATABASE "+quote(name)+" WITH (FORCE)"); err != nil {
			tb.Errorf("drop database of this test: %v", err)
		}
	})
	return dbURL
}

func createDatabase(ctx context.Context, serverURL, name string, s schema) error {
	conn, err := connect(ctx, serverURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	template, err := ensureTemplate(ctx, conn, serverURL, s)
	if err != nil {
		return fmt.Errorf("template: %w", err)
	}
	sql := "CREATE DATABASE " + quote(name) + " TEMPLATE " + quote(template)
	var version int
	if err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return err
	}
	if version >= 150000 {
		sql += " STRATEGY FILE_COPY" // faster than the journal here; older versions know nothing else
	}
	_, err = conn.Exec(ctx, sql)
	return err
}

// ensureTemplate returns the name of the schema's template database and makes it
// when this server has none yet.
func ensureTemplate(ctx context.Context, conn *pgx.Conn, serverURL string, s schema) (string, error) {
	sum, err := hash(s.files)
	if err != nil {
		return "", err
	}
	name := "px_template_" + sum
	if ok, err := isTemplate(ctx, conn, name); ok || err != nil {
		return name, err
	}
	// The lock goes with the connection.
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", templateLock); err != nil {
		return "", err
	}
	if ok, err := isTemplate(ctx, conn, name); ok || err != nil {
		return name, err
	}
	fresh := name + "_new" // so that whatever has the template's name is whole
	for _, sql := range []string{
		"DROP DATABASE IF EXISTS " + quote(fresh) + " WITH (FORCE)",
		"DROP DATABASE IF EXISTS " + quote(name) + " WITH (FORCE)",
		"CREATE DATABASE " + quote(fresh) + " TEMPLATE template0",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return "", err
		}
	}
	if err := migrate(ctx, serverURL, fresh, s); err != nil {
		return "", fmt.Errorf("migrations: %w", err)
	}
	for _, sql := range []string{
		"ALTER DATABASE " + quote(fresh) + " RENAME TO " + quote(name),
		// Nobody may connect: a template in use cannot be copied.
		"ALTER DATABASE " + quote(name) + " WITH ALLOW_CONNECTIONS false",
		"ALTER DATABASE " + quote(name) + " WITH IS_TEMPLATE true",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return "", err
		}
	}
	_, err = conn.Exec(ctx, "SELECT pg_advisory_unlock($1)", templateLock)
	return name, err
}

func isTemplate(ctx context.Context, conn *pgx.Conn, name string) (ok bool, err error) {
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)", name).Scan(&ok)
	return ok, err
}

func migrate(ctx context.Context, serverURL, name string, s schema) (err error) {
	dbURL, err := withDatabase(serverURL, name)
	if err != nil {
		return err
	}
	cfg, err := config(dbURL)
	if err != nil {
		return err
	}
	db := bun.NewDB(stdlib.OpenDB(*cfg), pgdialect.New())
	defer func() { err = errors.Join(err, db.Close()) }()
	return s.up(ctx, db)
}

func connect(ctx context.Context, serverURL string) (*pgx.Conn, error) {
	cfg, err := config(serverURL)
	if err != nil {
		return nil, err
	}
	return pgx.ConnectConfig(ctx, cfg)
}

// config reads the URL. Simple protocol, as in the program.
func config(dbURL string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(dbURL)
	if err != nil {
		return nil, err
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	return cfg, nil
}

// withDatabase returns the URL with another database.
func withDatabase(serverURL, name string) (string, error) {
	u, err := url.Parse(serverURL)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", errors.New("the server's address must be a URL such as postgres://user@host/database")
	}
	u.Path = "/" + name
	return u.String(), nil
}

// hash is the same for the same files with the same content.
func hash(files fs.FS) (string, error) {
	h := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(h, "%s %d\n%s", path, len(b), b)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)[:8]), err
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
