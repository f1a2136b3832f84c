package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
)

// cursor writes where an action stands so that callers do not count on what is
// in it.
func (l *lister) cursor(a *model.Action) string {
	at := map[string]time.Time{"created_at": a.CreatedAt, "due_at": a.DueAt, "updated_at": a.UpdatedAt}[l.column()]
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s %s %s %s", l.Order, a.Severity, at.UTC().Format(time.RFC3339Nano), a.ID))
}

// position reads After; false where it is not a cursor of this order.
func (l *lister) position() (position, bool) {
	if l.After == "" {
		return position{}, true
	}
	raw, err := base64.RawURLEncoding.DecodeString(l.After)
	parts := strings.Split(string(raw), " ")
	if err != nil || len(parts) != 4 || parts[0] != string(l.Order) {
		return position{}, false
	}
	at, timeErr := time.Parse(time.RFC3339Nano, parts[2])
	id, idErr := model.ParseID[model.Action](parts[3])
	p := position{severity: model.Severity(parts[1]), at: at, id: id}
	return p, timeErr == nil && idErr == nil && !id.IsZero() && p.severity.Rank() > 0
}

// column is the instant that the order goes by.
func (l *lister) column() string {
	switch l.Order {
	case OrderDueSoonest, OrderDueLatest, OrderGravest:
		return "due_at"
	case OrderUpdated:
		return "updated_at"
	default:
		return "created_at"
	}
}

func (l *lister) backwards() bool { return l.Order[0] == '-' }

// by is the order as SQL, of a table's columns.
func (l *lister) by(table string) string {
	by := l.within(table)
	if l.Order == OrderGravest {
		by = fmt.Sprintf("array_position('{critical,high,medium,low}'::text[], %s.severity), ", table) + by
	}
	return by
}

// within is the order of actions of one severity.
func (l *lister) within(table string) string {
	direction := ""
	if l.backwards() {
		direction = " DESC"
	}
	return fmt.Sprintf("%[1]s.%[2]s%[3]s, %[1]s.id%[3]s", table, l.column(), direction)
}

// later leaves what comes after the page before, in the order of within.
func (l *lister) later(q *bun.SelectQuery) *bun.SelectQuery {
	if l.after.id.IsZero() {
		return q
	}
	than := ">"
	if l.backwards() {
		than = "<"
	}
	return q.Where("(a.?, a.id) ? (?::timestamptz, ?::uuid)", bun.Ident(l.column()), bun.Safe(than), l.after.at, l.after.id)
}

// milder are the severities wanted that come after one, gravest first.
func (l *lister) milder(than model.Severity) []model.Severity {
	all := slices.DeleteFunc(slices.Clone(l.Severities), func(s model.Severity) bool { return s.Rank() >= than.Rank() })
	slices.SortFunc(all, func(a, b model.Severity) int { return b.Rank() - a.Rank() })
	return all
}

const (
	// fewWords is up to how many actions with certain words are looked up.
	fewWords = 5_000
	// fewDue is up to how many actions due in a range are looked up, in indexes alone.
	fewDue = 50_000
	// fewAnyway and cheap are up to how many rows, at which of the planner's costs,
	// a look-up needs no comparison.
	fewAnyway = 1_000
	cheap     = 3_000
)

// few reports whether to look up all that fits and sort it, rather than to walk
// the order until a page is full. Left to itself the planner walks too soon: it
// takes what fits for evenly spread over the order, and walks all of it where
// the few are at its other end.
func (l *lister) few(ctx context.Context, tx bun.Tx) (bool, error) {
	rows, lookup, err := estimate(ctx, tx, l.find(tx))
	switch {
	case err != nil:
		return false, err
	case l.words != nil: // that the planner cannot tell how far one walks to them
		return rows <= fewWords, nil
	case !(l.DueFrom.IsZero() && l.DueTo.IsZero()) && l.column() != "due_at" && rows <= fewDue: // all made at about one time
		return true, nil
	case rows <= fewAnyway && lookup <= cheap:
		return true, nil
	}
	_, walk, err := estimate(ctx, tx, l.walked(tx))
	return lookup <= walk, err
}

// estimate asks for how many rows the planner expects of a query, at what cost.
func estimate(ctx context.Context, tx bun.Tx, q *bun.SelectQuery) (rows, cost float64, err error) {
	var raw string
	if err := tx.NewRaw("EXPLAIN (FORMAT JSON) ?", q).Scan(ctx, &raw); err != nil {
		return 0, 0, fmt.Errorf("estimate how many actions fit: %w", err)
	}
	var plans []struct {
		Plan struct {
			Rows float64 `json:"Plan Rows"`
			Cost float64 `json:"Total Cost"`
		}
	}
	if err := json.Unmarshal([]byte(raw), &plans); err != nil || len(plans) != 1 {
		return 0, 0, fmt.Errorf("estimate how many actions fit: not a plan: %w", err)
	}
	return plans[0].Plan.Rows, plans[0].Plan.Cost, nil
}

// sorted finds the ids of a page by looking up all that fits, by whatever index
// is quickest. OFFSET 0 keeps the planner from walking the order instead.
func (l *lister) sorted(tx bun.Tx) *bun.SelectQuery {
	q := l.find(tx).ColumnExpr("a.severity, a.?", bun.Ident(l.column()))
	if l.Order == OrderGravest && !l.after.id.IsZero() {
		q = q.WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
			q = q.WhereGroup(" OR ", func(q *bun.SelectQuery) *bun.SelectQuery { return l.later(q).Where("a.severity = ?", l.after.severity) })
			return q.WhereOr("a.severity IN (?)", bun.List(l.milder(l.after.severity)))
		})
	} else {
		q = l.later(q)
	}
	return tx.NewSelect().TableExpr("(? OFFSET 0) AS s", q).ColumnExpr("s.id").OrderExpr(l.by("s")).Limit(int64(l.Limit + 1))
}

// walked finds the ids of a page by walking an index that has the order, and
// with it all that is asked of the actions, until the page is full. What of the
// order depends on the status (what is due soonest is closed long ago) stands
// behind the status in the index: so each status, and severity, is walked by
// itself, and what they have is merged.
func (l *lister) walked(tx bun.Tx) *bun.SelectQuery {
	each := [][]model.Severity{l.Severities}
	switch l.Order {
	case OrderUpdated:
		return l.merged(tx, []*bun.SelectQuery{l.walk(tx, l.Statuses, l.Severities, true)}, l.by("w"))
	case OrderDueSoonest, OrderDueLatest, OrderGravest:
		each = slices.Collect(slices.Chunk(l.Severities, 1))
	}
	var all []*bun.SelectQuery
	for _, severities := range each {
		from := l.after.id.IsZero() || l.Order != OrderGravest || severities[0] == l.after.severity
		if !from && severities[0].Rank() > l.after.severity.Rank() {
			continue // graver than where the page before ended
		}
		var walks []*bun.SelectQuery
		for _, status := range l.Statuses {
			walks = append(walks, l.walk(tx, []model.Status{status}, severities, from))
		}
		if l.Order == OrderGravest {
			walks = []*bun.SelectQuery{l.merged(tx, walks, l.within("w"))}
		}
		all = append(all, walks...)
	}
	if len(all) == 0 { // the page before ended with the mildest that is asked for
		all = append(all, l.walk(tx, l.Statuses, l.Severities, true).Where("FALSE"))
	}
	return l.merged(tx, all, l.by("w"))
}

// merged is what comes first of what some queries find.
func (l *lister) merged(tx bun.Tx, qs []*bun.SelectQuery, by string) *bun.SelectQuery {
	all := tx.NewSelect().TableExpr("(?) AS b", qs[0])
	for _, q := range qs[1:] {
		all = all.UnionAll(tx.NewSelect().TableExpr("(?) AS b", q))
	}
	return tx.NewSelect().TableExpr("(?) AS w", all).OrderExpr(by).Limit(int64(l.Limit + 1))
}

// walk is one of the walks, from the page before on if it ended in this one.
func (l *lister) walk(tx bun.Tx, statuses []model.Status, severities []model.Severity, from bool) *bun.SelectQuery {
	one := *l
	one.Statuses, one.Severities = statuses, severities
	q := one.where(tx).ColumnExpr("a.id, a.severity, a.?", bun.Ident(l.column())).OrderExpr(l.within("a")).Limit(int64(l.Limit + 1))
	if l.words != nil {
		q = q.Where("(SELECT w.words @@ ? FROM action_words AS w WHERE w.action_id = a.id)", l.words)
	}
	if from {
		q = l.later(q)
	}
	return q
}

// find selects the ids of what fits, in no order.
func (l *lister) find(tx bun.Tx) *bun.SelectQuery {
	q := l.where(tx).ColumnExpr("a.id")
	if l.words != nil {
		q = q.Where("a.id IN (SELECT w.action_id FROM action_words AS w WHERE w.words @@ ?)", l.words)
	}
	return q
}
