package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
)

// ErrReused is an idempotency key that another request has used.
var ErrReused = errors.New("the idempotency key was used for another request")

// RequestsKept is how long (machine time) a request that was granted is
// remembered.
const RequestsKept = 7 * 24 * time.Hour

// Once makes a move that is asked for again be made once: within Scope the
// same Key stands for the same request, whose Hash says what it asks for. The
// zero Once remembers nothing.
type Once struct {
	Scope string // who asks: API key and person
	Key   string // 1 to 200 characters, the asker's own
	Hash  []byte // of all that the request asks for
}

// onceRow is a request that was granted.
type onceRow struct {
	bun.BaseModel `bun:"table:idempotency_keys,alias:ik"`

	Scope       string         //
	Key         string         //
	RequestHash []byte         // empty: erased, the key alone tells a repeat
	ActionID    model.ActionID `bun:"type:uuid"`
	Version     int64          // of the action after the move
	Status      model.Status   // likewise
	CreatedAt   time.Time      `bun:",nullzero,default:clock_timestamp()"` // machine time
}

// replayed answers a move that was granted before, with the action as it is
// now; false: there was none. It is called with the action locked, so of two
// requests at the same time the second sees the first.
func replayed(ctx context.Context, tx bun.Tx, m *Move, now *model.Action) (Moved, bool, error) {
	if m.Once.Key == "" {
		return Moved{}, false, nil
	}
	var rows []onceRow
	if err := tx.NewSelect().Model(&rows).Where("scope = ? AND key = ?", m.Once.Scope, m.Once.Key).Scan(ctx); err != nil {
		return Moved{}, false, fmt.Errorf("look up an idempotency key: %w", err)
	}
	if len(rows) == 0 {
		return Moved{}, false, nil
	}
	if h := rows[0].RequestHash; rows[0].ActionID != now.ID || len(h) > 0 && !bytes.Equal(h, m.Once.Hash) {
		return Moved{Action: *now, Err: ErrReused}, true, nil
	}
	return Moved{Action: *now, Replayed: true}, true, nil
}

// Granted reports whether a request for a move on an action was granted before:
// for who does not see the action any more.
func (s *Store) Granted(ctx context.Context, id model.ActionID, o Once) (bool, error) {
	there, err := s.db.NewSelect().Model((*onceRow)(nil)).
		Where("scope = ? AND key = ? AND action_id = ? AND request_hash IN (?, '')", o.Scope, o.Key, id, o.Hash).Exists(ctx)
	if err != nil {
		return false, mapErr(fmt.Errorf("look up an idempotency key: %w", err))
	}
	return there, nil
}

// remember keeps what was granted just now. What was refused may be asked for
// again.
func remember(ctx context.Context, tx bun.Tx, moves []Move, round []int, results []Moved) error {
	var rows []onceRow
	for _, n := range round {
		m, r := moves[n], &results[n]
		if m.Once.Key == "" || r.Err != nil || r.Replayed {
			continue
		}
		rows = append(rows, onceRow{
			Scope: m.Once.Scope, Key: m.Once.Key, RequestHash: m.Once.Hash, ActionID: r.Action.ID, Version: r.Action.Version, Status: r.Action.Status,
		})
	}
	return insert(ctx, tx, "idempotency keys", rows)
}

// ForgetRequests takes away the idempotency keys that were used longer ago than
// a span of machine time, and returns how many.
func (s *Store) ForgetRequests(ctx context.Context, after time.Duration) (int64, error) {
	res, err := s.db.NewDelete().Model((*onceRow)(nil)).
		Where("created_at < clock_timestamp() - make_interval(secs => ?)", after.Seconds()).Exec(ctx)
	if err != nil {
		return 0, mapErr(fmt.Errorf("forget idempotency keys: %w", err))
	}
	return res.RowsAffected()
}
