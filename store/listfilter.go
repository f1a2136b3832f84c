package store

import (
	"strings"
	"unicode"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/pxactions/px/model"
)

// where is all that is asked of an action but its words. What every action has
// is not asked for: that takes its time, too.
func (l *lister) where(tx bun.Tx) *bun.SelectQuery {
	q := tx.NewSelect().Model((*model.Action)(nil))
	only := func(on bool, clause string, args ...any) {
		if on {
			q = q.Where(clause, args...)
		}
	}
	only(len(l.Statuses) < len(model.Statuses()), "a.status IN (?)", bun.List(l.Statuses))
	only(len(l.Severities) < len(model.Severities()), "a.severity IN (?)", bun.List(l.Severities))
	only(len(l.Hospitals) > 0, "a.hospital_id IN (?)", bun.List(l.Hospitals))
	only(!l.Department.IsZero(), "a.department_id = ?", l.Department)
	only(len(l.Sources) > 0, "a.source_type IN (?)", bun.List(l.Sources))
	only(l.Category != "", "a.category = ?", l.Category)
	only(!l.Assignee.IsZero(), "a.assigned_to = ?", l.Assignee)
	only(l.Unassigned, "a.assigned_to IS NULL")
	only(l.Overdue, "a.is_overdue")
	only(l.Escalated > 0, "a.escalation_level >= ?", l.Escalated)
	only(!l.DueFrom.IsZero(), "a.due_at >= ?::timestamptz", l.DueFrom)
	only(!l.DueTo.IsZero(), "a.due_at < ?::timestamptz", l.DueTo)
	only(l.RefPrefix != "", `a.ref LIKE ? || '%'`, likeLiteral(strings.ToUpper(l.RefPrefix)))
	only(!l.IncludeRestricted, "NOT a.restricted")
	if l.Visible != nil {
		q = l.Visible.where(q)
	}
	return q
}

// where leaves what the reader may see.
func (v *Visibility) where(q *bun.SelectQuery) *bun.SelectQuery {
	q = q.WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
		q = q.Where("FALSE")
		if len(v.Hospitals) > 0 {
			q = q.WhereOr("a.hospital_id IN (?)", bun.List(v.Hospitals))
		}
		if len(v.Departments) > 0 {
			q = q.WhereOr("a.department_id IN (?)", bun.List(v.Departments))
		}
		if len(v.Owners) > 0 {
			q = q.WhereOr("a.assigned_to IN (?)", bun.List(v.Owners))
		}
		return q
	})
	if !v.InvolvedNot.IsZero() {
		q = q.Where("a.id NOT IN (SELECT id FROM involved)") // of withInvolved
	}
	return q
}

// withInvolved makes a statement in which a query of where may stand: what the
// reader is involved in is looked up once, for hardly an action names anybody.
func (l *lister) withInvolved(q *bun.SelectQuery) *bun.SelectQuery {
	if l.Visible == nil || l.Visible.InvolvedNot.IsZero() {
		return q
	}
	return q.With("involved", q.NewSelect().TableExpr("actions").Column("id").
		Where("involved_users <> '[]' AND involved_users @> jsonb_build_array(?::text)", l.Visible.InvolvedNot))
}

// likeLiteral makes a pattern of LIKE that means the string itself.
func likeLiteral(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

// maxText is how long a text that is looked for may be, in bytes.
const maxText = 200

// wordsQuery makes of what a person types an expression of type tsquery, nil of nothing, as web
// searches read it: all words, in any order; "several words" in quotes as they
// stand; or between alternatives; -word for what is not to occur. A plain word at
// the end may be the beginning of one: whoever types sees what he looks for
// before he is done. Words are compared as they are, whatever the language, but
// for capital letters. False where no word is in it, or too much.
func wordsQuery(text string) (query schema.QueryAppender, ok bool) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, true
	}
	if len(text) > maxText || !strings.ContainsFunc(text, isWord) {
		return nil, false
	}
	q := bun.SafeQuery("websearch_to_tsquery('simple', ?)", strings.ToLower(text))
	fields := strings.Fields(text)
	last := []rune(fields[len(fields)-1])
	if !isWord(last[len(last)-1]) || last[0] == '-' || strings.Count(text, `"`)%2 == 1 {
		return q, true
	}
	return bun.SafeQuery("(nullif(?::text, '') || ':*')::tsquery", q), true
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
