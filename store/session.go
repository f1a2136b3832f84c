package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// How long (machine time) a session lasts without a request, how long with them,
// and how often at most it is written that there was one.
const (
	SessionIdle = 8 * time.Hour
	SessionLife = 24 * time.Hour
	sessionNote = time.Minute
)

// Login is a login whose password was found right.
type Login struct {
	User    model.UserID
	Hash    string // what the password was held against: another by now is no login
	NewHash string // what takes its place; empty: it stays
	Old     string // the token that the browser had; empty: none
}

// Login begins a session and returns its token, which is kept nowhere. Failed
// attempts are forgotten, and the session that the browser had ends. Where the
// password has changed meanwhile it is model.ErrNotFound.
func (s *Store) Login(ctx context.Context, l Login) (token string, err error) {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails: the runtime ends the program instead
	token = base64.RawURLEncoding.EncodeToString(raw)
	if l.NewHash == "" {
		l.NewHash = l.Hash
	}
	err = s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		res, err := tx.NewUpdate().Model((*model.Credential)(nil)).Set("hash = ?, failed = 0, locked_until = NULL", l.NewHash).
			Where("user_id = ? AND hash = ?", l.User, l.Hash).Exec(ctx)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return model.ErrNotFound
		}
		if err := endSession(ctx, tx, l.Old); err != nil {
			return err
		}
		now := st.Now.Machine
		_, err = tx.NewInsert().Model(&model.Session{
			ID: hashToken(token), UserID: l.User, CreatedAt: now, LastSeenAt: now, ExpiresAt: now.Add(SessionIdle),
		}).Exec(ctx)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("log user %s in: %w", l.User, err)
	}
	return token, nil
}

// hashToken is what is kept of a token, which is long and random: a plain hash
// cannot be guessed back.
func hashToken(token string) []byte {
	h := sha256.Sum256([]byte(token))
	return h[:]
}

// Visitor is who sits at a browser, and what they may do.
type Visitor struct {
	User   *model.User // of a snapshot of the directory: read only
	Access sla.Access
}

// Visitor finds whose session a token is, and notes that it is in use. A session
// that is not there or over, or whose person is no longer active, is
// model.ErrNotFound.
func (s *Store) Visitor(ctx context.Context, token string) (Visitor, error) {
	var v Visitor
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		var se model.Session
		if err := tx.NewSelect().Model(&se).Where("id = ? AND expires_at > ?", hashToken(token), st.Now.Machine).Scan(ctx); err != nil {
			return err
		}
		access, err := st.Dir.Access(se.UserID, st.Rules.Readers(), st.Now.Domain)
		if err != nil {
			return fmt.Errorf("%w: %w", model.ErrNotFound, err)
		}
		v = Visitor{User: st.Dir.Users[se.UserID], Access: access}
		return noteVisit(ctx, tx, &se, st.Now.Machine)
	})
	if err != nil {
		return Visitor{}, fmt.Errorf("find the session: %w", err)
	}
	return v, nil
}

// noteVisit moves a session's end. Of several requests at the same time one
// writes.
func noteVisit(ctx context.Context, tx bun.Tx, se *model.Session, now time.Time) error {
	seen := now.Add(-sessionNote)
	if se.LastSeenAt.After(seen) {
		return nil
	}
	end := now.Add(SessionIdle)
	if last := se.CreatedAt.Add(SessionLife); end.After(last) {
		end = last
	}
	_, err := tx.NewRaw(`UPDATE sessions SET last_seen_at = ?, expires_at = ?
		WHERE id = (SELECT id FROM sessions WHERE id = ? AND last_seen_at <= ? FOR UPDATE SKIP LOCKED)`, now, end, se.ID, seen).Exec(ctx)
	return err
}

// Logout ends the session of a token, if there is one.
func (s *Store) Logout(ctx context.Context, token string) error {
	if err := endSession(ctx, s.db, token); err != nil {
		return fmt.Errorf("log out: %w", mapErr(err))
	}
	return nil
}

func endSession(ctx context.Context, db bun.IDB, token string) error {
	if token == "" {
		return nil
	}
	_, err := db.NewDelete().Model((*model.Session)(nil)).Where("id = ?", hashToken(token)).Exec(ctx)
	return err
}

// Sessions lists a person's sessions that are not over, the latest first.
func (s *Store) Sessions(ctx context.Context, id model.UserID) ([]model.Session, error) {
	var all []model.Session
	err := s.db.NewSelect().Model(&all).Where("user_id = ? AND expires_at > clock_timestamp()", id).OrderExpr("last_seen_at DESC, id").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the sessions of user %s: %w", id, mapErr(err))
	}
	return all, nil
}

// EndSessions ends every session of a person and returns how many were not over.
func (s *Store) EndSessions(ctx context.Context, id model.UserID) (n int, err error) {
	err = s.db.NewRaw(`WITH ended AS (DELETE FROM sessions WHERE user_id = ? RETURNING expires_at)
		SELECT count(*) FILTER (WHERE expires_at > clock_timestamp()) FROM ended`, id).Scan(ctx, &n)
	if err != nil {
		return 0, fmt.Errorf("end the sessions of user %s: %w", id, mapErr(err))
	}
	return n, nil
}

// DropSessions removes the sessions that are over and returns how many.
func (s *Store) DropSessions(ctx context.Context) (n int, err error) {
	err = s.db.NewRaw(`WITH dropped AS (DELETE FROM sessions WHERE expires_at <= clock_timestamp() RETURNING 1) SELECT count(*) FROM dropped`).Scan(ctx, &n)
	if err != nil {
		return 0, fmt.Errorf("drop old sessions: %w", mapErr(err))
	}
	return n, nil
}
