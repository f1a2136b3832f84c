package store

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// ApplyDirectory sets people and places by their codes. What the document does
// not name stays as it is; nothing is ever deleted. Codes that point nowhere
// are model.FieldErrors, all at once.
func (s *Store) ApplyDirectory(ctx context.Context, d *sla.DirectoryDoc) (*sla.DirectoryRows, error) {
	var rows *sla.DirectoryRows
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		var err error
		if _, rows, err = resolveDirectory(ctx, tx, st, d); err != nil {
			return err
		}
		return writeDirectory(ctx, tx, rows)
	})
	return rows, err
}

// resolveDirectory raises the directory's version and resolves a document on top
// of what is there.
func resolveDirectory(ctx context.Context, tx bun.Tx, st txState, d *sla.DirectoryDoc) (prev *sla.Directory, rows *sla.DirectoryRows, err error) {
	// The version's row lock makes concurrent changes wait; what was read
	// before it may be older, so the directory is read again behind it.
	var version int64
	err = tx.NewRaw("UPDATE directory_version SET version = version + 1 RETURNING version - 1").Scan(ctx, &version)
	if err != nil {
		return nil, nil, fmt.Errorf("raise the directory's version: %w", err)
	}
	if prev, err = loadDirectory(ctx, tx, version); err != nil { // never the cached one, never into the cache
		return nil, nil, err
	}
	newID := func() uuid.UUID { return model.NewID[struct{}]().UUID }
	rows, err = d.Rows(prev, newID, st.Now.Domain)
	return prev, rows, err
}

func writeDirectory(ctx context.Context, tx bun.Tx, rows *sla.DirectoryRows) error {
	if err := upsert(ctx, tx, "hospitals", rows.Hospitals); err != nil {
		return err
	}
	// Users and departments point at each other: users come first without
	// their place, so that the managers are there, and then as they are.
	bare := slices.Clone(rows.Users)
	for i := range bare {
		bare[i].DepartmentID, bare[i].SubstituteID = nil, nil
	}
	if len(bare) > 0 {
		if _, err := tx.NewInsert().Model(&bare).On("CONFLICT (id) DO NOTHING").Exec(ctx); err != nil {
			return fmt.Errorf("write users: %w", err)
		}
	}
	if err := upsert(ctx, tx, "departments", rows.Departments); err != nil {
		return err
	}
	if err := upsert(ctx, tx, "users", rows.Users); err != nil {
		return err
	}
	return upsert(ctx, tx, "surveys", rows.Surveys)
}

func upsert[T any](ctx context.Context, tx bun.Tx, what string, rows []T) error {
	if len(rows) == 0 {
		return nil
	}
	q := tx.NewInsert().Model(&rows).On("CONFLICT (id) DO UPDATE")
	for _, f := range tx.Dialect().Tables().Get(reflect.TypeFor[*T]()).Fields {
		if f.Name != "id" && f.Name != "created_at" {
			q = q.Set("? = EXCLUDED.?", bun.Ident(f.Name), bun.Ident(f.Name))
		}
	}
	if _, err := q.Exec(ctx); err != nil {
		return fmt.Errorf("write %s: %w", what, err)
	}
	return nil
}

// Directory returns the current snapshot of people and places.
func (s *Store) Directory(ctx context.Context) (*sla.Directory, error) {
	var dir *sla.Directory
	err := s.inTx(ctx, func(_ context.Context, _ bun.Tx, st txState) error {
		dir = st.Dir
		return nil
	})
	return dir, err
}
