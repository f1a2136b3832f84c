package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

const (
	defaultPage = 50
	maxPage     = 200
	// countedExactly is up to where CountActions counts.
	countedExactly = 10_000
)

// ActionOrder is how a list of actions is sorted; ties by id.
type ActionOrder string

// The orders. The zero value is OrderNewest.
const (
	OrderNewest     ActionOrder = "-created" // made last first
	OrderOldest     ActionOrder = "created"
	OrderDueSoonest ActionOrder = "due"
	OrderDueLatest  ActionOrder = "-due"
	OrderUpdated    ActionOrder = "-updated" // changed last first
	OrderGravest    ActionOrder = "severity" // critical first, of each severity the one due soonest
)

// ActionOrders lists every order, the default first.
func ActionOrders() []ActionOrder {
	return []ActionOrder{OrderNewest, OrderOldest, OrderDueSoonest, OrderDueLatest, OrderUpdated, OrderGravest}
}

// ActionFilter says which actions are meant, and how a list of them is sorted.
// The zero value is all but the restricted ones, newest first. All that is set
// must fit.
type ActionFilter struct {
	Hospitals         []model.HospitalID // empty: every one
	Department        model.DepartmentID // zero: every one
	Statuses          []model.Status     // empty: every one
	Severities        []model.Severity   // empty: every one
	Sources           []model.SourceType // empty: every one
	Category          model.Category     // empty: every one
	Assignee          model.UserID       // zero: everybody
	Unassigned        bool               // only those that nobody owns
	Overdue           bool               // only those that are overdue
	Escalated         int                // only those with at least this escalation level
	DueFrom, DueTo    time.Time          // due at DueFrom or later, and before DueTo; zero: no bound
	RefPrefix         string             // how the ref begins, in any case; empty: any
	Text              string             // words of ref, title and description, see wordsQuery; empty: any
	IncludeRestricted bool               // also restricted ones: for readers who may see them
	Visible           *Visibility        // what the reader may see at all; nil: everything
	Order             ActionOrder        // empty: OrderNewest
	After             string             // ActionPage.Next of the page before, in the same order; empty: from the beginning
	Limit             int                // 0: 50; at most 200
}

// Visibility is what a reader may see: the actions of these hospitals, those of
// these departments and those that these people own, all but those that one
// person is involved in. The zero value is nothing.
type Visibility struct {
	Hospitals   []model.HospitalID
	Departments []model.DepartmentID
	Owners      []model.UserID
	InvolvedNot model.UserID // zero: nobody
}

// ActionPage is one page of actions, without their long texts.
type ActionPage struct {
	Actions []model.Action
	Next    string         // where the next page begins; empty: this is the last
	Dir     *sla.Directory // names of the people and places in it
	Now     model.Now      // when it was read
}

// Actions lists actions. An order that is none, a text without a word, and a
// page that begins elsewhere than a Next of the same order says are
// model.FieldErrors.
func (s *Store) Actions(ctx context.Context, f ActionFilter) (ActionPage, error) {
	l, err := newLister(f)
	if err != nil {
		return ActionPage{}, err
	}
	var page ActionPage
	err = s.inSnapshot(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		page = ActionPage{Dir: st.Dir, Now: st.Now}
		if err := goByIndexes(ctx, tx); err != nil {
			return err
		}
		page.Actions, err = l.read(ctx, tx)
		return err
	})
	if len(page.Actions) > l.Limit {
		page.Actions = page.Actions[:l.Limit]
		page.Next = l.cursor(&page.Actions[l.Limit-1])
	}
	return page, err
}

// goByIndexes tells the planner that a page of an index is read about as fast as
// the next one, as it is from memory and from what is no spinning disk, and that
// the table is not to be read from end to end.
func goByIndexes(ctx context.Context, tx bun.Tx) error {
	if _, err := tx.NewRaw("SET LOCAL random_page_cost = 1.1; SET LOCAL enable_seqscan = off").Exec(ctx); err != nil {
		return fmt.Errorf("set how plans are made: %w", err)
	}
	return nil
}

// CountActions counts the actions that fit a filter; its order, page and limit
// do not matter. Of more than 10,000, n is 10,000 and more is true. Errors as in
// Actions.
func (s *Store) CountActions(ctx context.Context, f ActionFilter) (n int, more bool, err error) {
	f.Order, f.After = "", ""
	l, err := newLister(f)
	if err != nil {
		return 0, false, err
	}
	err = s.inSnapshot(ctx, func(ctx context.Context, tx bun.Tx, _ txState) error {
		if err := goByIndexes(ctx, tx); err != nil {
			return err
		}
		q := l.where(tx).ColumnExpr("a.id").Limit(countedExactly + 1)
		if l.words != nil {
			q = q.Where("a.id IN (?)", l.worded(tx))
		}
		if err := l.withInvolved(tx.NewSelect().ColumnExpr("count(*)").TableExpr("(?) AS c", q)).Scan(ctx, &n); err != nil {
			return fmt.Errorf("count actions: %w", err)
		}
		return nil
	})
	return min(n, countedExactly), n > countedExactly, err
}

// lister makes the statements of one list.
type lister struct {
	ActionFilter
	words schema.QueryAppender // the text as an expression of type tsquery; nil: any
	after position
}

// position is where in its order an action stands.
type position struct {
	severity model.Severity
	at       time.Time
	id       model.ActionID // zero: before all
}

func newLister(f ActionFilter) (*lister, error) {
	l := &lister{ActionFilter: f}
	var faults model.FieldErrors
	if l.Order == "" {
		l.Order = OrderNewest
	}
	if !model.Valid(l.Order, ActionOrders()) {
		faults.Add("order", "enum", fmt.Sprintf("one of %v", ActionOrders()))
	}
	var ok bool
	if l.words, ok = wordsQuery(f.Text); !ok {
		faults.Add("text", "format", "words of at most 200 bytes together, one with a letter or digit")
	}
	if l.after, ok = l.position(); !ok {
		faults.Add("after", "format", "what the page before, in the same order, gave as next")
	}
	if l.Limit <= 0 {
		l.Limit = defaultPage
	}
	l.Limit = min(l.Limit, maxPage)
	l.Statuses, l.Severities = eachOnce(l.Statuses, model.Statuses()), eachOnce(l.Severities, model.Severities())
	return l, faults.Err()
}

// eachOnce is all where none is named.
func eachOnce[T ~string](named, all []T) []T {
	if len(named) == 0 {
		return all
	}
	return slices.Compact(slices.Sorted(slices.Values(named)))
}
