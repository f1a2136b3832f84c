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
	// Read back, it must be what was given: what it says then is what cursor says
	// of an action, and PostgreSQL can hold it.
	same := l.cursor(&model.Action{ID: id, Severity: p.severity, CreatedAt: at, DueAt: at, UpdatedAt: at}) == l.After
	return p, timeErr == nil && at.Year() > 0 && idErr == nil && !id.IsZero() && p.severity.Rank() > 0 && same
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
	direction := ""
	if l.backwards() {
		direction = " DESC"
	}
	by := fmt.Sprintf("%[1]s.%[2]s%[3]s, %[1]s.id%[3]s", table, l.column(), direction)
	if l.Order == OrderGravest {
		by = gravity(table+".severity") + ", " + by
	}
	return by
}

func gravity(severity string) string {
	return "array_position('{critical,high,medium,low}'::text[], " + severity + ")"
}

// later leaves what comes after the page before.
func (l *lister) later(q *bun.SelectQuery) *bun.SelectQuery {
	than := ">"
	if l.backwards() {
		than = "<"
	}
	switch {
	case l.after.id.IsZero():
		return q
	case l.Order == OrderGravest:
		return q.Where("("+gravity("a.severity")+", a.due_at, a.id) > ("+gravity("?")+", ?::timestamptz, ?::uuid)", l.after.severity, l.after.at, l.after.id)
	}
	return q.Where("(a.?, a.id) ? (?::timestamptz, ?::uuid)", bun.Ident(l.column()), bun.Safe(than), l.after.at, l.after.id)
}

// read reads a page and, if there is one, the action after it.
func (l *lister) read(ctx context.Context, tx bun.Tx) ([]model.Action, error) {
	ids, err := l.lookup(ctx, tx)
	if err != nil {
		return nil, err
	}
	switch {
	case ids == nil && l.Order == OrderGravest:
		return l.readParts(ctx, tx)
	case ids == nil:
		ids = l.walked(tx)
	}
	var actions []model.Action
	err = l.withInvolved(tx.NewSelect()).Model(&actions).ExcludeColumn("description", "metadata", "action_plan", "outcome", "root_cause").
		Join("JOIN (?) AS k ON k.id = a.id", ids).OrderExpr(l.by("a")).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list actions: %w", err)
	}
	return actions, nil
}

// readParts is read of OrderGravest, one severity after the other.
func (l *lister) readParts(ctx context.Context, tx bun.Tx) ([]model.Action, error) {
	var all []model.Action
	for _, part := range l.parts() {
		part.Limit = l.Limit - len(all)
		actions, err := part.read(ctx, tx)
		if err != nil {
			return nil, err
		}
		if all = append(all, actions...); len(all) > l.Limit {
			break
		}
	}
	return all, nil
}

// parts are lists of which one follows the other, those of each severity, from
// where the page before ended.
func (l *lister) parts() []*lister {
	var all []*lister
	for _, severity := range l.Severities {
		part := *l
		part.Order, part.Severities = OrderDueSoonest, []model.Severity{severity}
		if !l.after.id.IsZero() && severity != l.after.severity {
			if severity.Rank() > l.after.severity.Rank() {
				continue
			}
			part.after = position{}
		}
		all = append(all, &part)
	}
	slices.SortFunc(all, func(a, b *lister) int { return b.Severities[0].Rank() - a.Severities[0].Rank() })
	return all
}

const (
	// fewWords is how many actions with certain words are looked up about as fast
	// as one walks, past those without, to a page of them.
	fewWords = 5_000
	// The planner's costs of what takes some 10, 25 and 100 ms; that of looking at
	// an action's words is dear beside that of passing over it in an index.
	cheap, cheapWithWords, dear = 3_000, 20_000, 40_000
)

// lookup finds the ids of a page by looking up all that fits and sorting it; nil
// where it takes less to walk the order until the page is full. Left to itself the
// planner walks too soon: it takes what fits for evenly spread over the order, and
// walks all of it where the few are at its other end.
func (l *lister) lookup(ctx context.Context, tx bun.Tx) (*bun.SelectQuery, error) {
	most := cheap
	if l.words != nil {
		rows, _, err := estimate(ctx, tx, l.worded(tx))
		if err != nil || rows <= fewWords {
			return l.sorted(l.byWords(tx)), err
		}
		most = cheapWithWords
	}
	found := l.find(tx)
	if l.dueRange() { // the index of due dates begins with these
		found = found.Where("a.status IN (?)", bun.List(l.Statuses)).Where("a.severity IN (?)", bun.List(l.Severities))
	}
	found = l.sorted(found)
	_, cost, err := estimate(ctx, tx, l.withInvolved(tx.NewSelect().TableExpr("(?) AS f", found)))
	switch {
	case err != nil || cost <= float64(most):
		return found, err
	case cost > dear,
		l.Order == OrderGravest,                    // each severity by itself
		l.words != nil,                             // the planner cannot tell how far one walks to them
		l.dueRange() && l.column() == "created_at": // walked within bounds
		return nil, nil
	}
	_, walk, err := estimate(ctx, tx, l.withInvolved(tx.NewSelect().TableExpr("(?) AS f", l.walked(tx))))
	if err == nil && walk < cost {
		return nil, nil
	}
	return found, err
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

// sorted is a page of what a query finds. OFFSET 0 keeps the planner from walking
// the order instead.
func (l *lister) sorted(q *bun.SelectQuery) *bun.SelectQuery {
	return q.NewSelect().TableExpr("(? OFFSET 0) AS s", l.later(q)).OrderExpr(l.by("s")).Limit(int64(l.Limit + 1))
}

// walked finds the ids of a page by walking an index that has the order, and
// with it all that is asked of the actions, until the page is full. What of the
// order depends on the status (what is due soonest is closed long ago) stands
// behind the status in the index: so each status, and severity, is walked by
// itself, and what they have is merged.
func (l *lister) walked(tx bun.Tx) *bun.SelectQuery {
	var walks []*bun.SelectQuery
	switch l.column() {
	case "updated_at":
		walks = append(walks, l.walk(tx, l.Statuses, l.Severities))
	case "due_at":
		for _, status := range l.Statuses {
			for _, severity := range l.Severities {
				walks = append(walks, l.walk(tx, []model.Status{status}, []model.Severity{severity}))
			}
		}
	default:
		for _, status := range l.Statuses {
			walks = append(walks, l.soonDue(l.walk(tx, []model.Status{status}, l.Severities)))
		}
		if l.dueRange() {
			walks = append(walks, l.sorted(l.find(tx).Where("a.due_at - a.created_at NOT "+soon)))
		}
	}
	all := tx.NewSelect().TableExpr("(?) AS b", walks[0])
	for _, q := range walks[1:] {
		all = all.UnionAll(tx.NewSelect().TableExpr("(?) AS b", q))
	}
	return tx.NewSelect().TableExpr("(?) AS w", all).OrderExpr(l.by("w")).Limit(int64(l.Limit + 1))
}

// walk is one of the walks.
func (l *lister) walk(tx bun.Tx, statuses []model.Status, severities []model.Severity) *bun.SelectQuery {
	one := *l
	one.Statuses, one.Severities = statuses, severities
	return l.later(one.find(tx)).OrderExpr(l.by("a")).Limit(int64(l.Limit + 1))
}

const (
	// soon is how long after its creation nearly every action is due; the index
	// actions_due_elsewhen has the others.
	soon     = "BETWEEN interval '0' AND interval '92 days'"
	soonTime = 92 * 24 * time.Hour
)

func (l *lister) dueRange() bool { return !(l.DueFrom.IsZero() && l.DueTo.IsZero()) }

// soonDue bounds a walk in the order of creation: what is due in a range, and
// soon after it was made, was made in little more than that range.
func (l *lister) soonDue(q *bun.SelectQuery) *bun.SelectQuery {
	if !l.dueRange() {
		return q
	}
	q = q.Where("a.due_at - a.created_at " + soon)
	if !l.DueFrom.IsZero() {
		q = q.Where("a.created_at >= ?::timestamptz", l.DueFrom.Add(-soonTime))
	}
	if !l.DueTo.IsZero() {
		q = q.Where("a.created_at < ?::timestamptz", l.DueTo)
	}
	return q
}

// find selects what fits, in no order; the words are looked at last.
func (l *lister) find(tx bun.Tx) *bun.SelectQuery {
	q := l.wanted(tx)
	if l.words != nil {
		q = q.Where("(SELECT w.words @@ ? FROM action_words AS w WHERE w.action_id = a.id)", l.words)
	}
	return q
}

// wanted selects what fits but for the words, and what it is sorted by.
func (l *lister) wanted(tx bun.Tx) *bun.SelectQuery {
	q := l.where(tx).ColumnExpr("a.id, a.?", bun.Ident(l.column()))
	if l.Order == OrderGravest {
		q = q.Column("a.severity")
	}
	return q
}

// byWords selects what fits, in no order; the words are looked up first, and
// their actions one by one.
func (l *lister) byWords(tx bun.Tx) *bun.SelectQuery {
	return l.wanted(tx).
		ModelTableExpr("(?) AS w CROSS JOIN LATERAL (SELECT * FROM actions WHERE id = w.action_id OFFSET 0) AS a", l.worded(tx))
}

// worded selects the ids of what has the words.
func (l *lister) worded(tx bun.Tx) *bun.SelectQuery {
	return tx.NewSelect().TableExpr("action_words AS w").Column("w.action_id").Where("w.words @@ ?", l.words)
}
