package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/notify"
	"github.com/pxactions/px/store"
)

// hookLease is how long (machine time) a hook stays with who calls it: longer
// than a call may take, so that only a dead process is replaced.
const hookLease = maxSend + 15*time.Second

// The waits (machine time) after a call of a hook that failed: the first, and
// the longest.
const (
	hookFirstWait = time.Second
	hookLongWait  = 10 * time.Minute
)

// The types of the calls of hooks.
const (
	hookChanges = "px.changes"
	hookTest    = "px.test"
)

// hookPayload is the body of a call.
type hookPayload struct {
	Type      string         `json:"type"`
	ID        string         `json:"id"`
	Timestamp time.Time      `json:"timestamp"` // of the last change
	Hook      string         `json:"hook"`
	Changes   []store.Change `json:"changes"`
}

// DeliverHook tells a hook what it has not heard of yet, in order, one call
// after the other, until there is nothing left, a call fails, or another process
// is at it. The row owns the retries, so a failed call is not an error here.
func (e *Engine) DeliverHook(ctx context.Context, h model.Hook) error {
	e.delivering.RLock()
	defer e.delivering.RUnlock()
	for ctx.Err() == nil {
		page, err := e.hookPage(ctx, &h)
		if err != nil && !errors.Is(err, store.ErrCursorGone) || err == nil && len(page.Changes) == 0 && !page.More {
			return err
		}
		c, cerr := e.Store.ClaimHook(ctx, h.ID, hookLease)
		if cerr != nil || c == nil {
			return cerr
		}
		if c.Cursor != h.Cursor { // another called it meanwhile
			page, err = e.hookPage(ctx, c)
		}
		// Once claimed, the call runs to its end even if the caller leaves.
		s := store.HookSettled{Hook: c, Next: page.Next}
		switch {
		case errors.Is(err, store.ErrCursorGone):
			s.Why, s.RetryIn = "cursor_gone", hookLongWait
		case err != nil: // the claim runs out
			return err
		case len(page.Changes) == 0:
			s.Skipped = true
		default:
			s = e.callHook(context.WithoutCancel(ctx), s, page.Changes)
		}
		if going, err := e.settleHook(context.WithoutCancel(ctx), s); err != nil || !going {
			return err
		}
		h = *c
		h.Cursor = s.Next
	}
	return nil
}

// hookPage reads what a hook has not heard of, and shows how far behind it is.
func (e *Engine) hookPage(ctx context.Context, h *model.Hook) (store.ChangePage, error) {
	page, err := e.Store.Changes(ctx, store.ChangeFilter{
		After: h.Cursor, Hospitals: h.Hospitals.V, SourceSystem: h.SourceSystem, IncludeRestricted: h.IncludeRestricted,
	})
	if err != nil {
		return page, err
	}
	lag := time.Duration(0)
	if len(page.Changes) > 0 {
		now, err := e.Store.Now(ctx)
		if err != nil {
			return page, err
		}
		lag = max(now.Domain.Sub(page.Changes[0].At), 0)
	}
	e.Metrics.HookLag.WithLabelValues(h.Name).Set(lag.Seconds())
	e.Metrics.HookFailures.WithLabelValues(h.Name).Set(float64(h.Failures))
	return page, nil
}

// callHook makes the one call and says how the row is to be settled. The call's
// id follows from what is in it: a repeat with more in it has another, so that no
// receiver passes over what is new.
func (e *Engine) callHook(ctx context.Context, s store.HookSettled, changes []store.Change) store.HookSettled {
	first, last := changes[0], changes[len(changes)-1]
	sum := sha256.Sum256([]byte(s.Hook.ID.String() + " " + first.ID.String() + " " + last.ID.String()))
	err := e.postHook(ctx, s.Hook, hookPayload{
		Type: hookChanges, ID: "px_" + hex.EncodeToString(sum[:16]), Timestamp: last.At, Hook: s.Hook.Name, Changes: changes,
	})
	if err == nil {
		return s
	}
	s.Next, s.Why, s.RetryIn = s.Hook.Cursor, "error", hookWait(s.Hook.Failures+1, rand.Float64())
	var se *notify.SendError
	if errors.As(err, &se) {
		s.Why, s.RetryIn = se.Code, se.Wait(s.RetryIn)
		s.Pause = se.Code == "http_"+strconv.Itoa(http.StatusGone)
	}
	return s
}

func (e *Engine) postHook(ctx context.Context, h *model.Hook, p hookPayload) error {
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, maxSend)
	defer cancel()
	_, err = e.Notify.Post(ctx, notify.Call{ID: p.ID, URL: h.URL, Secret: h.Secret, Body: body})
	return err
}

// TestHook calls a hook with no changes and says what came of it: nil, or a
// *notify.SendError. Its row stays as it is.
func (e *Engine) TestHook(ctx context.Context, h *model.Hook) error {
	now, err := e.Store.Now(ctx)
	if err != nil {
		return err
	}
	return e.postHook(ctx, h, hookPayload{
		Type: hookTest, ID: "px_" + model.NewID[struct{}]().Hex(), Timestamp: now.Domain.UTC(), Hook: h.Name, Changes: []store.Change{},
	})
}

// hookWait is the wait after try number attempt (from 1) failed: twice as long
// each time. jitter in [0, 1) takes off up to a fifth.
func hookWait(attempt int, jitter float64) time.Duration {
	full := hookLongWait
	if shift := max(attempt, 1) - 1; shift < 10 {
		full = min(hookFirstWait<<shift, hookLongWait)
	}
	return full - time.Duration(jitter*float64(full)/5)
}

// settleHook writes down how a call ended, and tells once when a hook begins to
// fail and once when it is back. It reports whether to go on with it.
func (e *Engine) settleHook(ctx context.Context, s store.HookSettled) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, hookLease-maxSend)
	defer cancel()
	mine, err := e.Store.SettleHook(ctx, s)
	if err != nil || !mine || s.Skipped {
		return mine, err
	}
	outcome, failures := "taken", 0
	if s.Why != "" {
		outcome, failures = "failed", s.Hook.Failures+1
	}
	e.Metrics.HookCalls.WithLabelValues(s.Hook.Name, outcome).Inc()
	e.Metrics.HookFailures.WithLabelValues(s.Hook.Name).Set(float64(failures))
	switch {
	case s.Pause:
		e.Log.Warn().Str("hook", s.Hook.Name).Str("why", s.Why).Msg("hook paused: its receiver wants no more")
	case failures == 1:
		e.Log.Warn().Str("hook", s.Hook.Name).Str("why", s.Why).Msg("hook fails: it is tried again")
	case failures == 0 && s.Hook.Failures > 0:
		e.Log.Info().Str("hook", s.Hook.Name).Msg("hook goes on: its receiver is back")
	}
	return failures == 0, nil
}
