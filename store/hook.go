package store

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
)

// CreateHook makes a hook from a row with Name, URL and CreatedBy, and as wished
// SourceSystem, Hospitals and IncludeRestricted; it fills the rest. It hears of
// what changes from now on. Wrong fields are model.FieldErrors.
func (s *Store) CreateHook(ctx context.Context, h *model.Hook) error {
	if err := checkHook(h); err != nil {
		return err
	}
	end, err := s.StreamEnd(ctx)
	if err != nil {
		return fmt.Errorf("create hook: %w", err)
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	err = s.inTx(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		for _, id := range h.Hospitals.V {
			if st.Dir.Hospitals[id] == nil {
				return model.FieldErrors{{Field: "hook.hospitals", Code: "unmapped", Want: "hospitals of the directory"}}
			}
		}
		h.ID, h.Secret, h.Cursor = model.NewID[model.Hook](), "whsec_"+base64.StdEncoding.EncodeToString(key), end
		h.Active, h.CreatedAt = true, second(st.Now.Domain)
		_, err := tx.NewInsert().Model(h).Exec(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("create hook: %w", err)
	}
	return nil
}

const hookNames = "1 to 40 of a-z, 0-9, - and _, the first a letter or digit"

func checkHook(h *model.Hook) error {
	var fe model.FieldErrors
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}$`).MatchString(h.Name) {
		fe.Add("hook.name", "format", hookNames)
	}
	if u, err := url.Parse(h.URL); err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" || len(h.URL) > 2000 {
		fe.Add("hook.url", "format", "an https:// URL without user and password (http:// for what PX_WEBHOOK_ALLOW names)")
	}
	if h.SourceSystem = strings.TrimSpace(h.SourceSystem); len(h.SourceSystem) > 100 {
		fe.Add("hook.source_system", "length", "at most 100 characters")
	}
	if h.Hospitals.V == nil {
		h.Hospitals.V = []model.HospitalID{}
	}
	return fe.Err()
}

// Hooks lists the hooks that are not deleted, by name.
func (s *Store) Hooks(ctx context.Context) ([]model.Hook, error) {
	var hs []model.Hook
	if err := mapErr(s.db.NewSelect().Model(&hs).Where("deleted_at IS NULL").OrderExpr("name").Scan(ctx)); err != nil {
		return nil, fmt.Errorf("list hooks: %w", err)
	}
	return hs, nil
}

// HookByName returns a hook that is not deleted, or model.ErrNotFound.
func (s *Store) HookByName(ctx context.Context, name string) (*model.Hook, error) {
	var h model.Hook
	if err := mapErr(s.db.NewSelect().Model(&h).Where("name = ?", name).Where("deleted_at IS NULL").Scan(ctx)); err != nil {
		return nil, fmt.Errorf("load hook: %w", err)
	}
	return &h, nil
}

// ActivateHook pauses a hook, or lets it go on where it stood, at once.
// model.ErrNotFound when there is none of that name.
func (s *Store) ActivateHook(ctx context.Context, name string, active bool) error {
	return s.changeHook(ctx, name, "active = ?, next_try_at = NULL", active)
}

// DeleteHook ends a hook for good; its name is free again.
func (s *Store) DeleteHook(ctx context.Context, name string) error {
	return s.changeHook(ctx, name, "active = false, deleted_at = clock_timestamp()")
}

func (s *Store) changeHook(ctx context.Context, name, set string, args ...any) error {
	res, err := s.db.NewUpdate().Model((*model.Hook)(nil)).Set(set, args...).Where("name = ?", name).Where("deleted_at IS NULL").Exec(ctx)
	if err == nil {
		if n, _ := res.RowsAffected(); n == 0 {
			err = model.ErrNotFound
		}
	}
	if err != nil {
		return fmt.Errorf("change hook: %w", mapErr(err))
	}
	return nil
}

// ClaimHook takes an active hook whose next try has come for lease (machine
// time), so that of several schedulers one calls it; nil: not now.
func (s *Store) ClaimHook(ctx context.Context, id model.HookID, lease time.Duration) (*model.Hook, error) {
	var hs []model.Hook
	_, err := s.db.NewUpdate().Model(&hs).Set("claims = claims + 1").
		Set("claimed_until = clock_timestamp() + make_interval(secs => ?)", lease.Seconds()).
		Where("id = ?", id).Where("active").Where("claimed_until IS NULL OR claimed_until <= clock_timestamp()").
		Where("next_try_at IS NULL OR next_try_at <= clock_timestamp()").Returning("*").Exec(ctx)
	if err != nil {
		return nil, mapErr(fmt.Errorf("claim hook: %w", err))
	}
	if len(hs) == 0 {
		return nil, nil //nolint:nilnil // as told
	}
	return &hs[0], nil
}

// HookSettled is how a claimed hook's call ended.
type HookSettled struct {
	Hook    *model.Hook   // as claimed
	Next    model.Cursor  // where it stands now, unless the call failed
	Skipped bool          // nothing was of interest to it: it was not called
	Why     string        // code of the failure; empty: it was taken
	RetryIn time.Duration // machine time, after a failure
	Pause   bool          // it wants to hear no more
}

// SettleHook writes down how a call ended and gives the hook back. Who claimed
// it since, when this claim had run out, is left alone: false.
func (s *Store) SettleHook(ctx context.Context, d HookSettled) (bool, error) {
	q := s.db.NewUpdate().Model((*model.Hook)(nil)).Set("claimed_until = NULL").
		Where("id = ?", d.Hook.ID).Where("claims = ?", d.Hook.Claims)
	if d.Why == "" {
		c := d.Next
		q = q.Set("cursor_epoch = ?, cursor_xid = ?, cursor_action_id = ?, cursor_seq = ?", c.Epoch, c.XID, c.ActionID, c.Seq)
		if !d.Skipped {
			q = q.Set("failures = 0, next_try_at = NULL, last_error = '', last_ok_at = clock_timestamp()")
		}
	} else {
		q = q.Set("failures = failures + 1, last_error = ?, active = active AND NOT ?", d.Why, d.Pause).
			Set("next_try_at = clock_timestamp() + make_interval(secs => ?)", d.RetryIn.Seconds())
	}
	res, err := q.Exec(ctx)
	if err != nil {
		return false, mapErr(fmt.Errorf("settle hook: %w", err))
	}
	n, err := res.RowsAffected()
	return n == 1, err
}
