package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/tasks"
)

// MessageRef names one attempt at a message: it is stale unless the row has
// made that many attempts.
type MessageRef struct {
	ID      model.MessageID
	Attempt int
}

// Claimed is a message that this caller alone may deliver until its claim runs
// out, with its recipient.
type Claimed struct {
	model.Message
	Recipient *model.User     // nil: not in the directory
	Hospital  *model.Hospital // the recipient's, for their zone; nil: they belong to all
	Stale     bool            // its action has moved on: it is not to be sent, see sla.Stale
}

// ClaimMessages takes each message whose time has come for delivery, which
// raises its attempts. Refs that are stale, done, not due or in another's hands
// are left out, and so are those over other channels than the caller has.
func (s *Store) ClaimMessages(ctx context.Context, channels []model.Channel, refs []MessageRef) ([]Claimed, error) {
	var out []Claimed
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		var rows []model.Message
		until := st.Now.Machine.Add(s.claimLease)
		pairs := make([]bun.TupleValues, len(refs))
		for i, r := range refs {
			pairs[i] = bun.Tuple([]any{r.ID, r.Attempt})
		}
		err := tx.NewRaw(`UPDATE messages SET state = 'sending', attempts = attempts + 1,
				claimed_until = ?::timestamptz, next_try_at = ?::timestamptz
			WHERE id IN (SELECT id FROM messages WHERE (id, attempts) IN (?) AND channel IN (?) AND not_before <= ?::timestamptz
				AND (state = 'pending' AND next_try_at <= ?::timestamptz OR state = 'sending' AND claimed_until <= ?::timestamptz)
				ORDER BY id FOR UPDATE SKIP LOCKED)
			RETURNING *`,
			until, until, bun.List(pairs), bun.List(channels), st.Now.Domain, st.Now.Machine, st.Now.Machine).
			Scan(ctx, &rows)
		if err != nil {
			return fmt.Errorf("claim messages: %w", err)
		}
		actions, err := standing(ctx, tx, rows)
		if err != nil {
			return err
		}
		out = make([]Claimed, len(rows))
		for i, m := range rows {
			u := st.Dir.Users[m.RecipientID]
			out[i] = Claimed{Message: m, Recipient: u, Stale: sla.Stale(&m, actions[m.ActionID])}
			if u != nil && u.HospitalID != nil {
				out[i].Hospital = st.Dir.Hospitals[*u.HospitalID]
			}
		}
		return nil
	})
	return out, err
}

// standing reads how the actions of messages stand now, as far as sla.Stale asks.
func standing(ctx context.Context, tx bun.Tx, ms []model.Message) (map[model.ActionID]*model.Action, error) {
	if len(ms) == 0 {
		return nil, nil
	}
	ids := make([]model.ActionID, len(ms))
	for i, m := range ms {
		ids[i] = m.ActionID
	}
	var rows []model.Action
	err := tx.NewSelect().Model(&rows).Column("id", "status", "assigned_to", "submission_no").Where("id IN (?)", bun.List(ids)).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the actions of messages: %w", err)
	}
	all := make(map[model.ActionID]*model.Action, len(rows))
	for i := range rows {
		all[rows[i].ID] = &rows[i]
	}
	return all, nil
}

// Settled is how one claimed delivery ended.
type Settled struct {
	ID          model.MessageID
	Attempts    int                // as claimed: a later claim makes this settlement void
	State       model.MessageState // sent, failed, suppressed, or pending for another try
	Why         string             // last error, or why it was suppressed; never a payload
	ProviderRef string
	RetryIn     time.Duration // machine time, when pending
}

// SettleMessages records deliveries. One whose claim has been taken over
// meanwhile is left to the later claimant. It returns the effects of those to be
// tried again. A settlement that the database refuses leaves the others
// unharmed and is made once more without the receiver's words, so that what was
// sent is not sent for ever; if that is refused, too, its error is joined in.
func (s *Store) SettleMessages(ctx context.Context, items []Settled) (tasks.Effects, error) {
	items = slices.Clone(items)
	slices.SortStableFunc(items, func(a, b Settled) int { return compareIDs(a.ID, b.ID) })
	var effects tasks.Effects
	failed, err := bisect(ctx, items, func(ctx context.Context, items []Settled) error {
		e, err := s.settle(ctx, items)
		if err == nil {
			effects.Add(e)
		}
		return err
	})
	for i := range failed {
		it := items[i]
		it.ProviderRef, it.Why = "", "unreadable_answer"
		e, ferr := s.settle(ctx, []Settled{it})
		if ferr != nil {
			err = errors.Join(err, fmt.Errorf("settle message %s: %w", it.ID, ferr))
		}
		effects.Add(e)
	}
	return effects, err
}

func (s *Store) settle(ctx context.Context, items []Settled) (tasks.Effects, error) {
	var effects tasks.Effects
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		effects = tasks.Effects{}
		for _, it := range items {
			done, err := settleMessage(ctx, tx, st, it)
			if err != nil {
				return err
			}
			effects.Add(sendOf(&done, st.Now))
		}
		return nil
	})
	return effects, err
}

func settleMessage(ctx context.Context, tx bun.Tx, st txState, it Settled) (model.Message, error) {
	row := model.Message{ID: it.ID, State: it.State, Attempts: it.Attempts, LastError: it.Why, ProviderRef: it.ProviderRef}
	switch it.State {
	case model.MessagePending:
		at := st.Now.Machine.Add(it.RetryIn)
		row.NextTryAt = &at
	case model.MessageSent:
		at := second(st.Now.Domain)
		row.SentAt, row.LastError = &at, ""
	case model.MessageSuppressed:
		row.SuppressedReason, row.LastError = it.Why, ""
	}
	res, err := tx.NewUpdate().Model(&row).
		Column("state", "last_error", "suppressed_reason", "provider_ref", "next_try_at", "claimed_until", "sent_at").
		WherePK().Where("state = 'sending'").Where("attempts = ?", it.Attempts).Exec(ctx)
	if err != nil {
		return row, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return model.Message{}, err
	}
	return row, nil
}
