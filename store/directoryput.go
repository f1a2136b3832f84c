package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// DirectoryPut is a list of entries of one kind to be set, and by whom.
type DirectoryPut struct {
	Kind    sla.DirectoryKind
	Doc     *sla.DirectoryDoc                    // of entries of this kind alone
	May     func(hospital model.HospitalID) bool // whether they may change what is of a hospital; the zero id: of all of them
	Key     model.KeyID
	Person  *model.UserID // nil: the key acts for itself
	Request string        // its id
}

// DirectoryCounts is what became of the entries.
type DirectoryCounts struct {
	Created   int
	Changed   int
	Unchanged int
}

// PutDirectory sets entries by their codes, all or none, and notes who did it and
// which entries it changed. What is as it was is not written. Errors:
// model.FieldErrors that name index and field ([3].manager), model.ErrForbidden.
func (s *Store) PutDirectory(ctx context.Context, p DirectoryPut) (DirectoryCounts, error) {
	var done DirectoryCounts
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		done = DirectoryCounts{}
		prev, rows, err := resolveDirectory(ctx, tx, st, p.Doc)
		if err != nil {
			return sla.InList(p.Kind, err)
		}
		for i, of := range rows.Reach(p.Kind, prev) {
			for _, h := range of {
				if !p.May(h) {
					return fmt.Errorf("%w: [%d] is not of a hospital whose people and places this caller may change", model.ErrForbidden, i)
				}
			}
		}
		c := &directoryDiff{counts: &done}
		rows.Hospitals = differing(c, rows.Hospitals, func(h *model.Hospital) (string, *model.Hospital) { return h.Code, prev.Hospitals[h.ID] })
		rows.Departments = differing(c, rows.Departments, func(d *model.Department) (string, *model.Department) { return d.Code, prev.Departments[d.ID] })
		rows.Users = differing(c, rows.Users, func(u *model.User) (string, *model.User) { return u.Code, prev.Users[u.ID] })
		if c.err != nil {
			return c.err
		}
		if len(c.codes) == 0 {
			return errNothingNew // the version stays, and with it what others have read
		}
		if err := writeDirectory(ctx, tx, rows); err != nil {
			return err
		}
		_, err = tx.NewRaw(`INSERT INTO directory_changes (id, kind, codes, created, changed, key_id, person_id, request_id, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, model.NewID[struct{}](), p.Kind, model.Of(c.codes), done.Created, done.Changed,
			p.Key, p.Person, p.Request, second(st.Now.Domain)).Exec(ctx)
		if err != nil {
			return fmt.Errorf("note the change: %w", err)
		}
		return nil
	})
	if errors.Is(err, errNothingNew) {
		err = nil
	}
	if err != nil {
		return DirectoryCounts{}, fmt.Errorf("set %s: %w", p.Kind, err)
	}
	return done, nil
}

var errNothingNew = errors.New("nothing new")

// directoryDiff counts what rows change, and lists the codes of those that do.
type directoryDiff struct {
	counts *DirectoryCounts
	codes  []string
	err    error
}

// differing are the rows that are not as they were.
func differing[T any](c *directoryDiff, rows []T, of func(*T) (code string, old *T)) []T {
	var out []T
	for i := range rows {
		code, old := of(&rows[i])
		switch {
		case old == nil:
			c.counts.Created++
		case c.same(&rows[i], old):
			c.counts.Unchanged++
			continue
		default:
			c.counts.Changed++
		}
		c.codes = append(c.codes, code)
		out = append(out, rows[i])
	}
	return out
}

// same reports whether two rows say the same, whenever they were written.
func (c *directoryDiff) same(a, b any) bool {
	x, errX := rowText(a)
	y, errY := rowText(b)
	if c.err == nil {
		c.err = errors.Join(errX, errY)
	}
	return x == y
}

func rowText(row any) (string, error) {
	utc := func(at *time.Time) *time.Time {
		if at == nil {
			return nil
		}
		u := at.UTC()
		return &u
	}
	switch r := row.(type) {
	case *model.Hospital:
		one := *r
		one.CreatedAt, one.UpdatedAt = time.Time{}, time.Time{}
		row = &one
	case *model.Department:
		one := *r
		one.CreatedAt, one.UpdatedAt = time.Time{}, time.Time{}
		row = &one
	case *model.User:
		one := *r
		one.CreatedAt, one.UpdatedAt = time.Time{}, time.Time{}
		one.SubstituteFrom, one.SubstituteTo = utc(one.SubstituteFrom), utc(one.SubstituteTo)
		row = &one
	}
	text, err := json.Marshal(row)
	return string(text), err
}
