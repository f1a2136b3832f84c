package demo

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// action is what the demo keeps of one.
type action struct {
	model.Action

	place    string        // code of its department; empty: none
	firstDue time.Time     // as it was when created
	due      time.Time     // as of the last event read
	rule     string        // the routing rule that found its owner; empty: none
	made     time.Duration // real time of its creation since the start
	persona  persona       // set by the staff
	logged   int           // seq of the last log row read
}

// page is what is new in the ledger, and how it stands, at one instant.
type page struct {
	Events []event
	Tally  tally
}

// tally counts the whole ledger at one instant.
type tally struct {
	Now         time.Time `bun:"-"` // domain time
	Feedback    int
	Ignored     int
	Merged      int // into an action that tells of the same matter
	Quarantined int
	Actions     int
	Open        int // live
	Overdue     int // live and overdue
	Escalated   int // live, with a stage taken
	Closed      int
	Messages    int // sent
	AckMissed   int // of all actions; so are the next
	Reminders   int // taken
	Overdues    int
	Stage1      int `bun:"stage1"`
	Stage2      int `bun:"stage2"`
	Stage3      int `bun:"stage3"`
	Escalations int // of whatever stage
}

// book reads the ledger step by step. Log rows are numbered without gaps per
// action, so none is missed and none is read twice, in whatever order they
// were committed. It is not safe for concurrent use.
type book struct {
	db      *bun.DB
	dir     *sla.Directory
	clk     clock
	actions map[model.ActionID]*action
	ignored map[model.FeedbackID]bool
}

func newBook(db *bun.DB, dir *sla.Directory, clk clock) *book {
	return &book{db: db, dir: dir, clk: clk, actions: map[model.ActionID]*action{}, ignored: map[model.FeedbackID]bool{}}
}

// read returns what came since the last read, and the counts at the same
// instant.
func (b *book) read(ctx context.Context) (page, error) {
	var rows []model.Action
	var logs []model.ActionLog
	var ignored []model.Feedback
	var t tally
	o := &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	err := b.db.RunInTx(ctx, o, func(ctx context.Context, tx bun.Tx) (err error) {
		rows, logs, ignored = nil, nil, nil
		t.Now = b.clk.now()
		if err := tx.NewRaw(tallyQuery).Scan(ctx, &t); err != nil {
			return err
		}
		err = tx.NewSelect().Model(&rows).Column("id", "ref", "source_type", "hospital_id", "department_id", "severity", "assigned_to",
			"due_at", "requires_approval", "involved_users", "restricted", "log_seq").Scan(ctx)
		if err != nil {
			return err
		}
		if ids := b.changed(rows); len(ids) > 0 {
			if err := tx.NewSelect().Model(&logs).Where("l.action_id IN (?)", bun.List(ids)).Scan(ctx); err != nil {
				return err
			}
		}
		return tx.NewSelect().Model(&ignored).Column("id", "source_system", "reason", "decided_at").Where("decision = 'ignored'").Scan(ctx)
	})
	if err != nil {
		return page{}, fmt.Errorf("demo: read the ledger: %w", err)
	}
	return page{Events: b.enter(rows, logs, ignored), Tally: t}, nil
}

const tallyQuery = `SELECT f.*, a.*, m.*, e.* FROM
	(SELECT count(*) AS feedback, count(*) FILTER (WHERE decision = 'ignored') AS ignored, count(*) FILTER (WHERE decision = 'merged') AS merged,
		count(*) FILTER (WHERE decision = 'quarantined') AS quarantined FROM feedback) f,
	(SELECT count(*) AS actions, count(*) FILTER (WHERE status = 'closed') AS closed, count(*) FILTER (WHERE live) AS open,
		count(*) FILTER (WHERE live AND is_overdue) AS overdue, count(*) FILTER (WHERE live AND escalation_level > 0) AS escalated
		FROM actions, LATERAL (SELECT status NOT IN ('closed', 'cancelled') AS live) l) a,
	(SELECT count(*) FILTER (WHERE state = 'sent') AS messages FROM messages) m,
	(SELECT count(*) FILTER (WHERE kind = 'ack') AS ack_missed,
		count(*) FILTER (WHERE kind = 'reminder') AS reminders, count(*) FILTER (WHERE kind = 'overdue') AS overdues,
		count(*) FILTER (WHERE kind = 'escalation' AND stage = 1) AS stage1, count(*) FILTER (WHERE kind = 'escalation' AND stage = 2) AS stage2,
		count(*) FILTER (WHERE kind = 'escalation' AND stage = 3) AS stage3, count(*) FILTER (WHERE kind = 'escalation') AS escalations
		FROM deadline_events) e`

// changed are the actions with log rows that were not read yet.
func (b *book) changed(rows []model.Action) []model.ActionID {
	var ids []model.ActionID
	for i := range rows {
		if a := b.actions[rows[i].ID]; a == nil || a.logged < rows[i].LogSeq {
			ids = append(ids, rows[i].ID)
		}
	}
	return ids
}

// enter makes events of what was read, in the order of their happening.
func (b *book) enter(rows []model.Action, logs []model.ActionLog, ignored []model.Feedback) []event {
	var events []event
	for i := range rows {
		a := b.actions[rows[i].ID]
		if a == nil {
			// Its row is read once only: the staff read it at the same time.
			a = &action{Action: rows[i], firstDue: rows[i].DueAt, place: b.department(&rows[i])}
			b.actions[a.ID] = a
		}
	}
	slices.SortFunc(logs, func(x, y model.ActionLog) int {
		return cmp.Or(x.CreatedAt.Compare(y.CreatedAt), cmp.Compare(b.actions[x.ActionID].Ref, b.actions[y.ActionID].Ref), cmp.Compare(x.Seq, y.Seq))
	})
	for i := range logs {
		a := b.actions[logs[i].ActionID]
		if logs[i].Seq <= a.logged {
			continue
		}
		a.logged = logs[i].Seq
		events = append(events, b.event(&logs[i], a))
	}
	for i := range ignored {
		f := &ignored[i]
		if b.ignored[f.ID] || f.DecidedAt == nil {
			continue
		}
		b.ignored[f.ID] = true
		events = append(events, event{At: f.DecidedAt.UTC(), Ran: b.clk.real(*f.DecidedAt), Kind: kindIgnored, Source: f.SourceSystem, Reason: f.Reason})
	}
	slices.SortStableFunc(events, func(x, y event) int { return x.At.Compare(y.At) })
	return events
}

// lateness is how late, in real time, each deadline event was taken. What was
// past before its action existed counts from there.
func (b *book) lateness(ctx context.Context) ([]time.Duration, error) {
	var seconds []float64
	err := b.db.NewRaw(`SELECT extract(epoch FROM e.fired - greatest(e.planned, a.created_at))::float8
		FROM deadline_events e JOIN actions a ON a.id = e.action_id ORDER BY 1`).Scan(ctx, &seconds)
	if err != nil {
		return nil, fmt.Errorf("demo: read the lateness: %w", err)
	}
	late := make([]time.Duration, len(seconds))
	for i, s := range seconds {
		late[i] = b.clk.span(time.Duration(s * float64(time.Second)))
	}
	return late, nil
}
