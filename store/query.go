package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// ActionByRef returns one action, whole, by its ref in any case or by its id;
// model.ErrNotFound when there is none. Whether a reader may see a restricted
// one is the caller's to decide.
func (s *Store) ActionByRef(ctx context.Context, ref string) (*model.Action, error) {
	var a model.Action
	if strings.ContainsRune(ref, 0) || !utf8.ValidString(ref) {
		return nil, fmt.Errorf("action: %w", model.ErrNotFound) // PostgreSQL cannot be asked for it
	}
	q := s.db.NewSelect().Model(&a)
	if id, err := model.ParseID[model.Action](ref); err == nil {
		q = q.Where("a.id = ?", id)
	} else {
		q = q.Where("a.ref = ?", strings.ToUpper(ref))
	}
	switch err := mapErr(q.Scan(ctx)); {
	case errors.Is(err, model.ErrNotFound): // told to who asks, and to no log
		return nil, fmt.Errorf("action %q: %w", clip(ref), err)
	case err != nil:
		return nil, fmt.Errorf("load an action: %w", err)
	}
	return &a, nil
}

// clip keeps an error short whatever a caller asked for.
func clip(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// StoryOptions says how much of a story is wanted.
type StoryOptions struct {
	Words bool // also the patients' words: title and text of the feedback
}

// Story is all that is known of one action.
type Story struct {
	Action   model.Action
	Logs     []model.ActionLog     // in their order, with their words; words that were erased are ""
	Events   []model.DeadlineEvent // in the order of their taking
	Messages []model.Message       // in the order of their making
	Feedback []model.Feedback      // made or merged into it, oldest first; never what was sent as such (Raw)
	Linked   []Link                // actions that tell of the same matter, oldest first; restricted ones only if it is so itself
	Upcoming []sla.PlannedEvent    // what comes next, soonest first
	Dir      *sla.Directory        // names of the people and places in it
	Now      model.Now             // when it was read
}

// Link is an action that another one is linked to, or that is linked to it.
type Link struct {
	ID     model.ActionID
	Ref    string
	Status model.Status
}

// Story reads an action's story under one snapshot; model.ErrNotFound when
// there is no such action.
func (s *Store) Story(ctx context.Context, id model.ActionID, o StoryOptions) (Story, error) {
	var story Story
	err := s.inSnapshot(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		story = Story{Dir: st.Dir, Now: st.Now}
		if err := tx.NewSelect().Model(&story.Action).Where("id = ?", id).Scan(ctx); err != nil {
			return fmt.Errorf("load the action: %w", err)
		}
		if err := story.read(ctx, tx, o); err != nil {
			return err
		}
		c, err := s.pinned(ctx, tx, st, &story.Action, story.Events)
		if err != nil {
			return err
		}
		story.Upcoming = sla.Upcoming(c)
		return nil
	})
	if err != nil {
		return Story{}, fmt.Errorf("story of action %s: %w", id, err)
	}
	return story, nil
}

// read fills in the rows that belong to the action.
func (y *Story) read(ctx context.Context, tx bun.Tx, o StoryOptions) error {
	id := y.Action.ID
	var logs []struct {
		model.ActionLog `bun:",extend"`
		Words           *string
	}
	err := tx.NewSelect().Model(&logs).ColumnExpr("l.*, lt.words").Join("LEFT JOIN log_texts AS lt ON lt.log_id = l.id").
		Where("l.action_id = ?", id).OrderExpr("l.seq").Scan(ctx)
	if err != nil {
		return fmt.Errorf("load its log: %w", err)
	}
	for _, l := range logs {
		l.Text = deref(l.Words)
		y.Logs = append(y.Logs, l.ActionLog)
	}
	if err := tx.NewSelect().Model(&y.Events).Where("action_id = ?", id).OrderExpr("fired, planned, id").Scan(ctx); err != nil {
		return fmt.Errorf("load its deadline events: %w", err)
	}
	if err := tx.NewSelect().Model(&y.Messages).Where("action_id = ?", id).OrderExpr("created_at, id").Scan(ctx); err != nil {
		return fmt.Errorf("load its messages: %w", err)
	}
	hidden := []string{"raw", "metadata", "content_hash", "subject_key"}
	if !o.Words {
		hidden = append(hidden, "title", "text")
	}
	err = tx.NewSelect().Model(&y.Feedback).ExcludeColumn(hidden...).Where("action_id = ?", id).OrderExpr("created_at, id").Scan(ctx)
	if err != nil {
		return fmt.Errorf("load its feedback: %w", err)
	}
	err = tx.NewRaw("SELECT id, ref, status FROM actions WHERE (id = ? OR linked_to = ?) AND (NOT restricted OR ?) ORDER BY created_at, id",
		deref(y.Action.LinkedTo), id, y.Action.Restricted).Scan(ctx, &y.Linked)
	if err != nil {
		return fmt.Errorf("load what it is linked to: %w", err)
	}
	return nil
}

// Unowned reports whether a live action has nobody to own it, or an owner who is
// no longer active.
func (s *Store) Unowned(ctx context.Context) (bool, error) {
	var unowned bool
	err := s.db.NewRaw(`SELECT EXISTS (SELECT 1 FROM actions WHERE assigned_to IS NULL AND status NOT IN ('closed', 'cancelled'))
		OR EXISTS (SELECT 1 FROM users u JOIN actions a ON a.assigned_to = u.id WHERE NOT u.active AND a.status NOT IN ('closed', 'cancelled'))`).Scan(ctx, &unowned)
	return unowned, mapErr(err)
}

// Counts is how much of the ledger is in each state that operators watch.
type Counts struct {
	Live            int64 // actions neither closed nor cancelled
	Overdue         int64 // live and overdue
	Escalated       int64 // live, with a stage of escalation taken
	Unassigned      int64 // live, with nobody to own them
	Late            int64 // actions whose next event is past by more than the grace
	Unarmed         int64 // actions whose next job the queue has not heard of, the grace being over
	Undecided       int64 // feedback
	Quarantined     int64 // feedback, but for what was erased
	MessagesOpen    int64 // on their way
	MessagesFailed  int64 // given up
	UndecidedOldest int64 // seconds (domain time) since the oldest undecided feedback was accepted; 0: none
}

// Counts counts, in one query that reads live rows only.
func (s *Store) Counts(ctx context.Context) (Counts, error) {
	var n Counts
	err := s.db.NewRaw(`WITH now AS (
			SELECT machine, virtual_epoch + (machine - real_epoch) * speed AS domain, speed
			FROM clock, (SELECT clock_timestamp() AS machine) m)
		SELECT a.*, f.*, m.*,
			(SELECT count(*) FROM actions WHERE next_at < now.domain - ?0 * now.speed * interval '1 second') AS late,
			(SELECT count(*) FROM actions WHERE next_at IS NOT NULL AND armed_gen < gen AND arm_after < now.machine) AS unarmed,
			(SELECT count(*) FROM feedback WHERE decision = 'quarantined' AND erased_at IS NULL) AS quarantined,
			(SELECT count(*) FROM messages WHERE state = 'failed') AS messages_failed,
			(SELECT count(*) FROM messages WHERE state IN ('pending', 'sending')) AS messages_open
		FROM now,
			(SELECT count(*) AS live, count(*) FILTER (WHERE is_overdue) AS overdue,
				count(*) FILTER (WHERE escalation_level > 0) AS escalated, count(*) FILTER (WHERE assigned_to IS NULL) AS unassigned
				FROM actions WHERE status NOT IN ('closed', 'cancelled')) a,
			(SELECT count(*) AS undecided, min(created_at) AS oldest FROM feedback WHERE decision IS NULL) f,
			LATERAL (SELECT coalesce(greatest(0, extract(epoch FROM now.domain - f.oldest)), 0)::bigint AS undecided_oldest) m`,
		s.grace.Seconds()).Scan(ctx, &n)
	if err != nil {
		return Counts{}, mapErr(fmt.Errorf("count the ledger: %w", err))
	}
	return n, nil
}

// inSnapshot is inTx for readers: every statement sees the same instant, and
// nothing is locked or written.
func (s *Store) inSnapshot(ctx context.Context, fn func(ctx context.Context, tx bun.Tx, st txState) error) error {
	return s.inTxAs(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}, fn)
}
