package store

import (
	"testing"
	"time"

	"github.com/pxactions/px/model"
)

// FuzzListCursor looks for cursors of lists that are read as something else than
// they say, or as what PostgreSQL cannot hold. Anybody may write one.
func FuzzListCursor(f *testing.F) {
	f.Fuzz(func(t *testing.T, order uint8, after string) {
		all := ActionOrders()
		l := &lister{ActionFilter: ActionFilter{Order: all[int(order)%len(all)], After: after}}
		p, ok := l.position()
		if !ok || after == "" {
			return
		}
		if p.id.IsZero() || p.severity.Rank() <= 0 || p.at.Year() < 1 || p.at.Year() > 9999 || p.at.Location() != time.UTC {
			t.Errorf("%q is read as %+v", after, p)
		}
		if again := l.cursor(&model.Action{ID: p.id, Severity: p.severity, CreatedAt: p.at, DueAt: p.at, UpdatedAt: p.at}); again != after {
			t.Errorf("%q is read as what %q says", after, again)
		}
		for _, other := range all {
			if l := (&lister{ActionFilter: ActionFilter{Order: other, After: after}}); other != all[int(order)%len(all)] {
				if _, ok := l.position(); ok {
					t.Errorf("%q is of two orders", after)
				}
			}
		}
	})
}
