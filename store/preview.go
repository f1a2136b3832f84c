package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// Preview is what a policy would do to live actions, were it applied now.
type Preview struct {
	Live      int    // live actions that there are
	Calendars Impact // by applying it: its calendars reach all of them
	Whole     Impact // by putting them under it as a whole
}

// Impact is what one way of applying a policy changes. What is due by the
// present plan is no part of it.
type Impact struct {
	Moved   []time.Duration // by how much each due that moves does, least first; below 0: earlier
	Overdue []string        // refs of those that it makes overdue
	Cleared []string        // refs of those that are overdue no more
	Told    map[string]int  // about how many actions each person hears, by code
}

const previewBatch = 500

// PreviewPolicy works out what a policy would do to live actions, in one
// snapshot; nothing is written. Faults as of ApplyPolicy.
func (s *Store) PreviewPolicy(ctx context.Context, p *sla.Policy) (Preview, error) {
	var pv Preview
	err := s.inSnapshot(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		pv = Preview{Calendars: Impact{Told: map[string]int{}}, Whole: Impact{Told: map[string]int{}}}
		rules, err := s.proposed(ctx, tx, st, p)
		if err != nil {
			return err
		}
		var after model.ActionID
		for more := true; more; {
			var rows []model.Action
			err := tx.NewSelect().Model(&rows).Where("status NOT IN ('closed', 'cancelled')").Where("id > ?", after).
				OrderExpr("id").Limit(previewBatch).Scan(ctx)
			if err != nil {
				return fmt.Errorf("load actions: %w", err)
			}
			if more = len(rows) == previewBatch; len(rows) > 0 {
				after = rows[len(rows)-1].ID
			}
			if err := s.previewBatch(ctx, tx, st, rules, rows, &pv); err != nil {
				return err
			}
		}
		return nil
	})
	slices.Sort(pv.Calendars.Moved)
	slices.Sort(pv.Whole.Moved)
	return pv, err
}

// proposed is the policy compiled as what it would be: the revision after the
// active one, or that one, if it is the same.
func (s *Store) proposed(ctx context.Context, tx bun.Tx, st txState, p *sla.Policy) (*sla.Rules, error) {
	p, err := carryFeeds(ctx, tx, p)
	if err != nil {
		return nil, err
	}
	doc, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("write the policy as JSON: %w", err)
	}
	sum := sha256.Sum256(doc)
	same, err := tx.NewSelect().Model((*model.PolicyRevision)(nil)).
		Where("revision = ?", st.Rules.Revision).Where("sha256 = ?", sum[:]).Exists(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the active policy: %w", err)
	}
	if same {
		return st.Rules, nil
	}
	return sla.Prepare(p, st.Rules.Revision+1, st.Dir)
}

func (s *Store) previewBatch(ctx context.Context, tx bun.Tx, st txState, rules *sla.Rules, rows []model.Action, pv *Preview) error {
	ids := make([]model.ActionID, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	if len(ids) == 0 {
		return nil
	}
	events, err := eventsOf(ctx, tx, ids)
	if err != nil {
		return err
	}
	w := &writer{st: st}
	for i := range rows {
		c, err := s.pinned(ctx, tx, st, &rows[i], events[rows[i].ID])
		if err != nil {
			return err
		}
		old, err := s.rulesOf(ctx, tx, st, c.Action.CalendarRevision)
		if err != nil {
			return err
		}
		pv.Live++
		now := w.nowFor(&c.Action)
		settle(&c, now)
		a := &c.Action
		if a.CalendarRevision < rules.Revision && !rules.SameCalendar(old, a.Calendar) {
			pv.Calendars.add(a, sla.Recalendar(c, rules.OpenTimeOf(a.Calendar), now), st.Dir)
		}
		if a.PolicyRevision < rules.Revision {
			pv.Whole.add(a, rules.Reapply(c, now), st.Dir)
		}
	}
	return nil
}

// settle takes what is due of a case, so that what follows is by the change alone.
func settle(c *sla.Case, now time.Time) {
	for {
		out, due := sla.Fire(*c, now)
		if !due {
			return
		}
		c.Action, c.Events = out.Action, append(slices.Clip(c.Events), out.Events...)
	}
}

func (im *Impact) add(was *model.Action, out sla.Outcome, dir *sla.Directory) {
	a := &out.Action
	if !a.DueAt.Equal(was.DueAt) {
		im.Moved = append(im.Moved, a.DueAt.Sub(was.DueAt))
	}
	switch {
	case a.IsOverdue && !was.IsOverdue:
		im.Overdue = append(im.Overdue, a.Ref)
	case was.IsOverdue && !a.IsOverdue:
		im.Cleared = append(im.Cleared, a.Ref)
	}
	told := map[model.UserID]bool{}
	for _, m := range out.Messages { // one for each channel of a person
		if m.State == model.MessagePending && !told[m.RecipientID] {
			told[m.RecipientID] = true
			im.Told[dir.Users[m.RecipientID].Code]++
		}
	}
}
