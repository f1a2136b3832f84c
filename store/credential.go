package store

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
)

// The limits of login attempts, machine time in seconds: from the fifth failure
// in a row on, each locks for twice as long as the one before.
const (
	freeAttempts = 5
	firstLock    = 30
	longestLock  = 15 * 60
)

// SetPassword sets the hash of a person's password, forgets failed attempts and
// ends the person's sessions.
func (s *Store) SetPassword(ctx context.Context, id model.UserID, hash string) error {
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		c := model.Credential{UserID: id, Hash: hash, ChangedAt: st.Now.Machine}
		_, err := tx.NewInsert().Model(&c).On("CONFLICT (user_id) DO UPDATE").
			Set("hash = EXCLUDED.hash, changed_at = EXCLUDED.changed_at, failed = 0, locked_until = NULL").Exec(ctx)
		if err != nil {
			return err
		}
		_, err = tx.NewDelete().Model((*model.Session)(nil)).Where("user_id = ?", id).Exec(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("set the password of user %s: %w", id, err)
	}
	return nil
}

// Attempt takes a login attempt: it returns the hash that the password is to be
// held against. The attempt counts as failed until Login says otherwise, so that
// many at the same time are not more than one after the other. Who has no
// password, or is locked, is model.ErrNotFound.
func (s *Store) Attempt(ctx context.Context, id model.UserID) (hash string, err error) {
	err = s.db.NewRaw(`UPDATE credentials SET failed = failed + 1,
			locked_until = CASE WHEN failed + 1 >= ?1 THEN clock_timestamp() + make_interval(secs => least(?2 * 2.0 ^ least(failed + 1 - ?1, 20), ?3)) END
		WHERE user_id = ?0 AND (locked_until IS NULL OR locked_until <= clock_timestamp()) RETURNING hash`,
		id, freeAttempts, firstLock, longestLock).Scan(ctx, &hash)
	if err != nil {
		return "", fmt.Errorf("take a login attempt of user %s: %w", id, mapErr(err))
	}
	return hash, nil
}
