package engine

import (
	"bytes"
	"context"
	"time"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

// Audited is what a check of the log found.
type Audited struct {
	Actions int                `json:"actions"`
	Days    int                `json:"days"`
	Faults  []store.ChainFault `json:"faults"`
}

// auditBatch is how many actions are checked under one snapshot.
const auditBatch = 500

// Audit checks that the log is as it was written: each action's chain, each
// sealed day, and the days against those that were kept elsewhere (nil: none).
// No fault means that nothing was changed, removed, added or reordered since,
// save words that were erased.
func (e *Engine) Audit(ctx context.Context, kept []store.AuditDay) (Audited, error) {
	done := Audited{Faults: []store.ChainFault{}}
	var after model.ActionID
	for {
		faults, next, seen, err := e.Store.VerifyChains(ctx, after, auditBatch)
		if err != nil {
			return done, err
		}
		if seen == 0 {
			break
		}
		done.Actions, after = done.Actions+seen, next
		done.Faults = append(done.Faults, faults...)
	}
	days, err := e.Store.AuditDays(ctx)
	if err != nil {
		return done, err
	}
	done.Days = len(days)
	var before store.AuditDay
	for i, d := range days {
		if i > 0 && !d.Day.Equal(before.Day.AddDate(0, 0, 1)) {
			done.Faults = append(done.Faults, store.ChainFault{Ref: d.Day.Format(time.DateOnly), What: "days before it are missing"})
		}
		fault, err := e.Store.VerifyDay(ctx, d, before.Hash)
		if err != nil {
			return done, err
		}
		if fault != nil {
			done.Faults = append(done.Faults, *fault)
		}
		before = d
	}
	done.Faults = append(done.Faults, compareDays(days, kept)...)
	return done, nil
}

// compareDays finds what was kept elsewhere and is not so, or not at all, now.
func compareDays(days, kept []store.AuditDay) []store.ChainFault {
	now := make(map[string]store.AuditDay, len(days))
	for _, d := range days {
		now[d.Day.Format(time.DateOnly)] = d
	}
	var faults []store.ChainFault
	for _, k := range kept {
		day := k.Day.Format(time.DateOnly)
		if d, ok := now[day]; !ok || d.Rows != k.Rows || !bytes.Equal(d.Hash, k.Hash) {
			faults = append(faults, store.ChainFault{Ref: day, What: "the day is not sealed as the copy kept elsewhere says"})
		}
	}
	return faults
}

// SealDays seals the days of the log that are over, and tells of each in the
// process's own log: whoever ships that elsewhere keeps a copy.
func (e *Engine) SealDays(ctx context.Context) error {
	days, err := e.Store.SealDays(ctx)
	for _, d := range days {
		e.Log.Info().Str("day", d.Day.Format(time.DateOnly)).Int64("rows", d.Rows).Hex("hash", d.Hash).Msg("day of the log sealed")
	}
	return err
}
