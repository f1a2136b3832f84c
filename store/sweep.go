package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/tasks"
)

// Keyset is where a walk over late rows stands: behind this time and id. The
// zero Keyset is the beginning.
type Keyset struct {
	At time.Time
	ID string
}

// LateFeedback lists undecided feedback whose grace is over, oldest first,
// skipping what others hold locked, and where to go on.
func (s *Store) LateFeedback(ctx context.Context, after Keyset, limit int) ([]model.FeedbackID, Keyset, error) {
	var rows []model.Feedback
	q := s.db.NewSelect().Model(&rows).Column("id", "heal_after").
		Where("decision IS NULL").Where("heal_after <= clock_timestamp()").
		OrderExpr("heal_after, id").Limit(int64(limit)).For("UPDATE SKIP LOCKED")
	if after.ID != "" {
		q = q.Where("(heal_after, id) > (?::timestamptz, ?::uuid)", after.At, after.ID)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, after, mapErr(fmt.Errorf("list late feedback: %w", err))
	}
	ids := make([]model.FeedbackID, len(rows))
	for i, r := range rows {
		ids[i], after = r.ID, Keyset{At: r.HealAfter, ID: r.ID.String()}
	}
	return ids, after, nil
}

// LateDeadlines lists the armed jobs that should have fired more than the grace
// ago, by next_at, then id descending: the reverse of the workers' order, so
// that sweep and workers meet instead of colliding.
func (s *Store) LateDeadlines(ctx context.Context, after Keyset, limit int) ([]DeadlineRef, Keyset, error) {
	now, err := s.Now(ctx)
	if err != nil {
		return nil, after, err
	}
	late := now.Clock.Virtual(now.Machine.Add(-s.grace))
	var rows []model.Action
	q := s.db.NewSelect().Model(&rows).Column("id", "gen", "next_at").
		Where("next_at IS NOT NULL").Where("next_at <= ?::timestamptz", late).
		Where("heal_after IS NULL OR heal_after <= clock_timestamp()").
		OrderExpr("next_at, id DESC").Limit(int64(limit)).For("UPDATE SKIP LOCKED")
	if after.ID != "" {
		q = q.Where("next_at > ?0::timestamptz OR next_at = ?0::timestamptz AND id < ?1::uuid", after.At, after.ID)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, after, mapErr(fmt.Errorf("list late deadlines: %w", err))
	}
	refs := make([]DeadlineRef, len(rows))
	for i, r := range rows {
		refs[i], after = DeadlineRef{ActionID: r.ID, Gen: r.Gen}, Keyset{At: *r.NextAt, ID: r.ID.String()}
	}
	return refs, after, nil
}

// Unarmed lists the effects of live actions that the queue has not heard of
// though their grace is over, and puts them behind a new grace, so that a queue
// that is away is asked in turns.
func (s *Store) Unarmed(ctx context.Context, limit int) (tasks.Effects, error) {
	var effects tasks.Effects
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		effects = tasks.Effects{}
		var rows []model.Action
		err := tx.NewRaw(`UPDATE actions SET arm_after = ?::timestamptz WHERE id IN (
				SELECT id FROM actions WHERE next_at IS NOT NULL AND armed_gen < gen AND arm_after <= ?::timestamptz
				ORDER BY arm_after, id LIMIT ? FOR UPDATE SKIP LOCKED)
			RETURNING id, gen, armed_gen, next_at, next_kind, next_stage`, st.Now.Machine.Add(s.grace), st.Now.Machine, limit).Scan(ctx, &rows)
		if err != nil {
			return fmt.Errorf("list unarmed actions: %w", err)
		}
		for i := range rows {
			effects.Add(armOf(&rows[i], st.Now.Clock))
		}
		return nil
	})
	return effects, err
}

// MarkArmed notes which jobs the queue has heard of. A row that has moved on
// meanwhile keeps what it has.
func (s *Store) MarkArmed(ctx context.Context, armed []tasks.Arm) error {
	if len(armed) == 0 {
		return nil
	}
	rows := make([]model.Action, len(armed))
	for i, a := range armed {
		rows[i] = model.Action{ID: a.ActionID, ArmedGen: a.Gen}
	}
	// Locked in the order of their ids, as every batch locks actions: two that
	// meet wait for each other, and neither dies of it.
	mine := s.db.NewSelect().Model((*model.Action)(nil)).TableExpr("_data").ColumnExpr("a.id, _data.armed_gen").
		Where("a.id = _data.id").Where("a.armed_gen < _data.armed_gen").Where("_data.armed_gen <= a.gen").
		OrderExpr("a.id").For("NO KEY UPDATE OF a")
	_, err := s.db.NewUpdate().With("_data", s.db.NewValues(&rows).Column("id", "armed_gen")).With("mine", mine).
		Model((*model.Action)(nil)).TableExpr("mine").
		Set("armed_gen = mine.armed_gen").Where("a.id = mine.id").Exec(ctx)
	if err != nil {
		return mapErr(fmt.Errorf("mark actions armed: %w", err))
	}
	return nil
}

// Armable lists the jobs of all live actions in next_at order, armed or not:
// what a queue that has lost its memory must hear again.
func (s *Store) Armable(ctx context.Context, after Keyset, limit int) (tasks.Effects, Keyset, error) {
	var effects tasks.Effects
	now, err := s.Now(ctx)
	if err != nil {
		return effects, after, err
	}
	var rows []model.Action
	q := s.db.NewSelect().Model(&rows).Column("id", "gen", "next_at", "next_kind", "next_stage").
		Where("next_at IS NOT NULL").OrderExpr("next_at, id").Limit(int64(limit))
	if after.ID != "" {
		q = q.Where("(next_at, id) > (?::timestamptz, ?::uuid)", after.At, after.ID)
	}
	if err := q.Scan(ctx); err != nil {
		return effects, after, mapErr(fmt.Errorf("list armable actions: %w", err))
	}
	for i := range rows {
		r := &rows[i]
		r.ArmedGen = 0 // whatever was handed over is gone
		effects.Add(armOf(r, now.Clock))
		after = Keyset{At: *r.NextAt, ID: r.ID.String()}
	}
	return effects, after, nil
}

// LateMessages lists messages over the given channels that should have been
// sent more than the grace ago, or whose claim has run out.
func (s *Store) LateMessages(ctx context.Context, channels []model.Channel, after Keyset, limit int) ([]MessageRef, Keyset, error) {
	now, err := s.Now(ctx)
	if err != nil {
		return nil, after, err
	}
	var rows []model.Message
	q := s.db.NewSelect().Model(&rows).Column("id", "attempts", "next_try_at").
		Where("state IN ('pending', 'sending')").
		Where("next_try_at <= ?::timestamptz", now.Machine). // bounds the index
		Where("next_try_at <= CASE state WHEN 'pending' THEN ?::timestamptz ELSE ?::timestamptz END", now.Machine.Add(-s.grace), now.Machine).
		Where("not_before <= ?::timestamptz", now.Domain).
		Where("channel IN (?)", bun.List(channels)).
		OrderExpr("next_try_at, id").Limit(int64(limit)).For("UPDATE SKIP LOCKED")
	if after.ID != "" {
		q = q.Where("(next_try_at, id) > (?::timestamptz, ?::uuid)", after.At, after.ID)
	}
	if err := q.Scan(ctx); err != nil {
		return nil, after, mapErr(fmt.Errorf("list late messages: %w", err))
	}
	refs := make([]MessageRef, len(rows))
	for i, r := range rows {
		refs[i], after = MessageRef{ID: r.ID, Attempt: r.Attempts}, Keyset{At: *r.NextTryAt, ID: r.ID.String()}
	}
	return refs, after, nil
}

// ClaimSweep takes the slot of a sweep for lease (machine time), so that of
// several schedulers one works; false: another has it.
func (s *Store) ClaimSweep(ctx context.Context, name, holder string, lease time.Duration) (bool, error) {
	var got int
	err := s.db.NewRaw(`INSERT INTO sweeps (name, last_run, claimed_until, holder)
			VALUES (?0, clock_timestamp(), clock_timestamp() + ?2 * interval '1 second', ?1)
		ON CONFLICT (name) DO UPDATE SET last_run = clock_timestamp(), claimed_until = excluded.claimed_until, holder = excluded.holder
			WHERE sweeps.claimed_until IS NULL OR sweeps.claimed_until <= clock_timestamp() OR sweeps.holder = excluded.holder
		RETURNING 1`, name, holder, lease.Seconds()).Scan(ctx, &got)
	if err = mapErr(err); err != nil && got == 0 && isNotFound(err) {
		return false, nil
	}
	return got == 1, err
}

// FinishSweep frees the slot and adds to what the sweep has healed so far.
func (s *Store) FinishSweep(ctx context.Context, name, holder string, healed int) error {
	_, err := s.db.NewRaw("UPDATE sweeps SET claimed_until = NULL, healed = healed + ? WHERE name = ? AND holder = ?", healed, name, holder).Exec(ctx)
	return mapErr(err)
}

// ClaimDue takes a periodic piece of work for lease (machine time) if it was
// not done within every and nobody has it. FinishDue says how it ended; work
// whose holder died is due again when the lease is over.
func (s *Store) ClaimDue(ctx context.Context, name, holder string, every, lease time.Duration) (bool, error) {
	var got int
	err := s.db.NewRaw(`INSERT INTO sweeps (name, last_run, claimed_until, holder)
			VALUES (?0, 'epoch', clock_timestamp() + ?2 * interval '1 second', ?1)
		ON CONFLICT (name) DO UPDATE SET claimed_until = excluded.claimed_until, holder = excluded.holder
			WHERE sweeps.last_run <= clock_timestamp() - ?3 * interval '1 second'
				AND (sweeps.claimed_until IS NULL OR sweeps.claimed_until <= clock_timestamp())
		RETURNING 1`, name, holder, lease.Seconds(), every.Seconds()).Scan(ctx, &got)
	if err = mapErr(err); isNotFound(err) {
		return false, nil
	}
	return got == 1, err
}

// FinishDue ends a ClaimDue. Work that is not done is due again at once. What
// another has taken over meanwhile is left alone.
func (s *Store) FinishDue(ctx context.Context, name, holder string, done bool) error {
	_, err := s.db.NewRaw(`UPDATE sweeps SET claimed_until = NULL, last_run = CASE WHEN ? THEN clock_timestamp() ELSE last_run END
		WHERE name = ? AND holder = ?`, done, name, holder).Exec(ctx)
	return mapErr(err)
}

// Beat is what PostgreSQL remembers of a queue's counter in Redis.
type Beat struct {
	Counter int64
	RunID   string
}

// ReadBeat returns the remembered counter; zero where none is.
func (s *Store) ReadBeat(ctx context.Context, queue string) (Beat, error) {
	var b Beat
	err := mapErr(s.db.NewRaw("SELECT counter, run_id FROM sweeps WHERE name = ?", "redis:"+queue).Scan(ctx, &b))
	if isNotFound(err) {
		return Beat{}, nil
	}
	return b, err
}

// WriteBeat remembers a counter. It is written after Redis's own, so that a
// Redis that lost its memory always shows a lower one.
func (s *Store) WriteBeat(ctx context.Context, queue string, b Beat) error {
	_, err := s.db.NewRaw(`INSERT INTO sweeps (name, last_run, counter, run_id) VALUES (?, clock_timestamp(), ?, ?)
		ON CONFLICT (name) DO UPDATE SET last_run = excluded.last_run, counter = excluded.counter, run_id = excluded.run_id`,
		"redis:"+queue, b.Counter, b.RunID).Exec(ctx)
	return mapErr(err)
}
