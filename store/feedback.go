package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/tasks"
)

// Accepted is what became of one feedback that came in.
type Accepted struct {
	Row model.Feedback // as it now stands; of one that was there before, without the words
	New bool           // written by this call: inserted, or in place of a quarantined one
	Err error          // model.ErrEventChanged (Row is the one that stands), or why it cannot be stored
}

// answerColumns are what a repeat needs to get the first answer. The patient's
// words are not among them.
func answerColumns() []string {
	return []string{
		"id", "source_system", "event_id", "content_hash", "source_type", "hospital_id", "received_at", "mode",
		"decision", "reason", "action_id", "decided_at", "created_at", "tries",
		"revision", "retracted_at", "erased_at",
	}
}

// Present reads the clock and the active rules with their directory, for mapping
// what comes in.
func (s *Store) Present(ctx context.Context) (model.Now, *sla.Rules, error) {
	var now model.Now
	var rules *sla.Rules
	err := s.inTx(ctx, func(_ context.Context, _ bun.Tx, st txState) error {
		now, rules = st.Now, st.Rules
		return nil
	})
	return now, rules, err
}

// AcceptFeedback writes feedback that comes in: one answer per row, in the same
// order. A row whose (SourceSystem, EventID) is known writes nothing: with the
// same ContentHash it gets the row that stands, with another one
// model.ErrEventChanged, unless the one that stands is quarantined, which it
// replaces. The same holds for repeats within the call, in their order. A row
// that the database refuses gets its own error.
//
// A zero ReceivedAt becomes the commit's; ID, CreatedAt and HealAfter are set
// here. Effects name all undecided feedback of the call, also what was there
// before. The error is for faults of the whole; the answers then are void.
func (s *Store) AcceptFeedback(ctx context.Context, rows []model.Feedback) ([]Accepted, tasks.Effects, error) {
	answers := make([]Accepted, len(rows))
	items := make([]incoming, len(rows))
	for i := range rows {
		items[i] = incoming{row: &rows[i], answer: &answers[i]}
	}
	failed, err := bisect(ctx, items, s.accept)
	for i, ferr := range failed {
		answers[i] = Accepted{Err: fmt.Errorf("store feedback: %w", ferr)}
	}
	return answers, createEffects(answers), err
}

// incoming is one row on its way in and where its answer goes.
type incoming struct {
	row    *model.Feedback
	answer *Accepted
}

func createEffects(answers []Accepted) tasks.Effects {
	var e tasks.Effects
	for i := range answers {
		if a := &answers[i]; a.Err == nil && a.Row.Decision == "" && !a.Row.ID.IsZero() {
			e.Create = append(e.Create, a.Row.ID)
		}
	}
	e.Create = sortedIDs(e.Create)
	return e
}

func (s *Store) accept(ctx context.Context, items []incoming) error {
	return s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		firsts, repeats := s.fold(items, st)
		known, err := insertFeedback(ctx, tx, firsts)
		if err != nil {
			return err
		}
		repeats = append(repeats, known...)
		// Firsts that met a row come after their repeats here; put all back
		// into the order they came in.
		order := make(map[*model.Feedback]int, len(items))
		for i, it := range items {
			order[it.row] = i
		}
		slices.SortFunc(repeats, func(a, b incoming) int { return order[a.row] - order[b.row] })
		return s.answerRepeats(ctx, tx, repeats)
	})
}

// fold stamps the rows and splits the first of each event from its repeats.
// Firsts are sorted, so that concurrent calls meet in the same order and never
// lock each other out.
func (s *Store) fold(items []incoming, st txState) (firsts, repeats []incoming) {
	seen := make(map[[2]string]bool, len(items))
	for _, it := range items {
		r := it.row
		at := second(st.Now.Domain)
		r.CreatedAt, r.HealAfter = at, st.Now.Machine.Add(s.grace)
		if r.ReceivedAt.IsZero() {
			r.ReceivedAt = at
		}
		if r.ID.IsZero() {
			r.ID = model.NewID[model.Feedback]()
		}
		if r.Decision != "" {
			r.DecidedAt = &at
		}
		key := [2]string{r.SourceSystem, r.EventID}
		if seen[key] {
			repeats = append(repeats, it)
			continue
		}
		seen[key] = true
		firsts = append(firsts, it)
	}
	slices.SortFunc(firsts, func(a, b incoming) int {
		return strings.Compare(a.row.SourceSystem+"\x00"+a.row.EventID, b.row.SourceSystem+"\x00"+b.row.EventID)
	})
	return firsts, repeats
}

// insertFeedback writes what is new and returns what met a row.
func insertFeedback(ctx context.Context, tx bun.Tx, items []incoming) ([]incoming, error) {
	rows := make([]*model.Feedback, len(items))
	for i, it := range items {
		rows[i] = it.row
	}
	var ids []string
	_, err := tx.NewInsert().Model(&rows).On("CONFLICT (source_system, event_id) DO NOTHING").Returning("id").Exec(ctx, &ids)
	if err != nil {
		return nil, fmt.Errorf("write feedback: %w", err)
	}
	written := make(map[string]bool, len(ids))
	for _, id := range ids {
		written[id] = true
	}
	var known []incoming
	for _, it := range items {
		if written[it.row.ID.String()] {
			*it.answer = Accepted{Row: *it.row, New: true}
			continue
		}
		known = append(known, it)
	}
	return known, nil
}

// answerRepeats compares each with the row that stands.
func (s *Store) answerRepeats(ctx context.Context, tx bun.Tx, items []incoming) error {
	if len(items) == 0 {
		return nil
	}
	keys := make([]bun.TupleValues, len(items))
	for i, it := range items {
		keys[i] = bun.Tuple([]string{it.row.SourceSystem, it.row.EventID})
	}
	var rows []model.Feedback
	err := tx.NewSelect().Model(&rows).Column(answerColumns()...).Where("(source_system, event_id) IN (?)", bun.List(keys)).Scan(ctx)
	if err != nil {
		return fmt.Errorf("load feedback by event: %w", err)
	}
	standing := make(map[[2]string]*model.Feedback, len(rows))
	for i := range rows {
		standing[[2]string{rows[i].SourceSystem, rows[i].EventID}] = &rows[i]
	}
	for _, it := range items {
		have := standing[[2]string{it.row.SourceSystem, it.row.EventID}]
		if have == nil {
			return fmt.Errorf("%w: an event that was there is gone", model.ErrConflict)
		}
		if err := answerRepeat(ctx, tx, it, have); err != nil {
			return err
		}
	}
	return nil
}

func answerRepeat(ctx context.Context, tx bun.Tx, it incoming, have *model.Feedback) error {
	switch {
	case have.Repeats(it.row.ContentHash):
		*it.answer = Accepted{Row: *have}
		return nil
	case have.Decision != model.DecisionQuarantined:
		*it.answer = Accepted{Row: *have}
		said, err := saidBefore(ctx, tx, have, it.row.ContentHash)
		if !said {
			it.answer.Err = model.ErrEventChanged
		}
		return err
	}
	it.row.ID, it.row.CreatedAt = have.ID, have.CreatedAt
	done, err := replaceFeedback(ctx, tx, Replacement{Row: *it.row, Was: have.ContentHash})
	if err != nil {
		return err
	}
	if !done {
		// Somebody replaced it first: what stands now answers.
		if err := tx.NewSelect().Model(have).Column(answerColumns()...).WherePK().Scan(ctx); err != nil {
			return fmt.Errorf("load feedback %s: %w", have.ID, err)
		}
		*it.answer = Accepted{Row: *have}
		if !have.Repeats(it.row.ContentHash) {
			it.answer.Err = model.ErrEventChanged
		}
		return nil
	}
	*have = *it.row
	*it.answer = Accepted{Row: *it.row, New: true}
	return nil
}

// saidBefore reports whether a feedback that was revised had a content before: a
// late repeat of it is one all the same. What was erased may have been anything.
func saidBefore(ctx context.Context, tx bun.Tx, f *model.Feedback, hash []byte) (bool, error) {
	if f.Revision == 0 {
		return false, nil
	}
	said, err := tx.NewSelect().Table("feedback_revisions").Where("feedback_id = ?", f.ID).Where("content_hash IN (?, '')", hash).Exists(ctx)
	if err != nil {
		return false, fmt.Errorf("look for the earlier content: %w", err)
	}
	return said, nil
}

// Replacement is new content for a quarantined feedback. Was is the content
// hash of what it replaces.
type Replacement struct {
	Row model.Feedback
	Was []byte
}

// replaceFeedback writes over a quarantined row; false when it is no longer
// quarantined, or no longer what it was.
func replaceFeedback(ctx context.Context, tx bun.Tx, r Replacement) (bool, error) {
	if r.Row.Decision == "" {
		r.Row.DecidedAt = nil
	}
	res, err := tx.NewUpdate().Model(&r.Row).ExcludeColumn("id", "source_system", "event_id", "created_at", "revision", "revised_at", "retracted_at", "retract_reason").WherePK().
		Where("decision = ?", model.DecisionQuarantined).Where("content_hash = ?", r.Was).Exec(ctx)
	if err != nil {
		return false, fmt.Errorf("replace feedback %s: %w", r.Row.ID, err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// ReplaceQuarantined writes over quarantined feedback that is still what it
// was; others are left alone. A row without Decision becomes undecided, with
// its tries forgotten; one that stays quarantined keeps its new reason, and
// since when it is. It
// returns how many were written and the effects of those now undecided. One
// bad row is passed over; its error is joined into the result of its id.
func (s *Store) ReplaceQuarantined(ctx context.Context, rs []Replacement) (map[model.FeedbackID]error, tasks.Effects, error) {
	var effects tasks.Effects
	failed, err := bisect(ctx, rs, func(ctx context.Context, rs []Replacement) error {
		var ids []model.FeedbackID
		err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
			ids = nil
			for _, r := range rs {
				r.Row.HealAfter, r.Row.Tries = st.Now.Machine.Add(s.grace), 0
				done, err := replaceFeedback(ctx, tx, r)
				if err != nil {
					return err
				}
				if done && r.Row.Decision == "" {
					ids = append(ids, r.Row.ID)
				}
			}
			return nil
		})
		if err == nil {
			effects.Create = append(effects.Create, ids...)
		}
		return err
	})
	byID := make(map[model.FeedbackID]error, len(failed))
	for i, ferr := range failed {
		byID[rs[i].Row.ID] = ferr
	}
	return byID, effects, err
}

// QuarantineFilter says which quarantined feedback is meant. The zero value is
// all of it, from the beginning.
type QuarantineFilter struct {
	SourceSystem string             // empty: every one
	IDs          []model.FeedbackID // empty: all
	After        model.FeedbackID   // those behind this one; zero: from the beginning
	Before       time.Time          // accepted before this instant, domain time; zero: up to now
	Limit        int                // at most; 0: 200
}

// Quarantined lists quarantined feedback, whole, by id; not what was erased, which
// nobody can read any more.
func (s *Store) Quarantined(ctx context.Context, f QuarantineFilter) ([]model.Feedback, error) {
	if f.Limit <= 0 {
		f.Limit = 200
	}
	var rows []model.Feedback
	q := s.db.NewSelect().Model(&rows).Where("decision = ?", model.DecisionQuarantined).Where("erased_at IS NULL").
		Where("id > ?", f.After).OrderExpr("id").Limit(int64(f.Limit))
	if f.SourceSystem != "" {
		q = q.Where("source_system = ?", f.SourceSystem)
	}
	if len(f.IDs) > 0 {
		q = q.Where("id IN (?)", bun.List(f.IDs))
	}
	if !f.Before.IsZero() {
		q = q.Where("created_at < ?::timestamptz", f.Before)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, mapErr(fmt.Errorf("list quarantined feedback: %w", err))
	}
	return rows, nil
}

// Feedback returns one feedback, whole; model.ErrNotFound when there is none.
func (s *Store) Feedback(ctx context.Context, id model.FeedbackID) (*model.Feedback, error) {
	var row model.Feedback
	if err := mapErr(s.db.NewSelect().Model(&row).Where("id = ?", id).Scan(ctx)); err != nil {
		return nil, fmt.Errorf("load feedback %s: %w", id, err)
	}
	return &row, nil
}

// FeedbackByEvent is Feedback by the sender's own id.
func (s *Store) FeedbackByEvent(ctx context.Context, sourceSystem, eventID string) (*model.Feedback, error) {
	if strings.ContainsRune(eventID, 0) || !utf8.ValidString(eventID) {
		return nil, fmt.Errorf("feedback: %w", model.ErrNotFound) // PostgreSQL cannot be asked for it
	}
	var row model.Feedback
	err := s.db.NewSelect().Model(&row).Where("source_system = ?", sourceSystem).Where("event_id = ?", eventID).Scan(ctx)
	if err := mapErr(err); err != nil {
		return nil, fmt.Errorf("load feedback by event: %w", err)
	}
	return &row, nil
}

// FeedbackByEvents returns what is known of the events of a source system, by
// event id and without the words; unknown ones are left out.
func (s *Store) FeedbackByEvents(ctx context.Context, sourceSystem string, eventIDs []string) (map[string]model.Feedback, error) {
	known := make(map[string]model.Feedback, len(eventIDs))
	if len(eventIDs) == 0 {
		return known, nil
	}
	var rows []model.Feedback
	err := s.db.NewSelect().Model(&rows).Column(answerColumns()...).
		Where("source_system = ?", sourceSystem).Where("event_id IN (?)", bun.List(eventIDs)).Scan(ctx)
	if err != nil {
		return nil, mapErr(fmt.Errorf("load feedback by event: %w", err))
	}
	for _, r := range rows {
		known[r.EventID] = r
	}
	return known, nil
}
