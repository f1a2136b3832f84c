package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

// Grounds is what the decisions about an action rest on.
type Grounds struct {
	Story
	First   *model.Feedback // the one that it was made of, without its words; nil: made by hand
	Made    Revision        // of the policy by which it was made
	Planned Revision        // of the policy by which it is planned now
	Case    sla.Case        // as the rules see it
	Active  int64           // the policy revision that is active now
}

// Revision is one revision of the policy with its rules.
type Revision struct {
	Rules     *sla.Rules
	AppliedAt time.Time // zero: the built-in policy
	AppliedBy string
	Note      string
}

// Grounds reads them under one snapshot; model.ErrNotFound when there is no such
// action. The directory is that of now.
func (s *Store) Grounds(ctx context.Context, id model.ActionID) (Grounds, error) {
	var g Grounds
	err := s.inSnapshot(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		g = Grounds{Story: Story{Dir: st.Dir, Now: st.Now}, Active: st.Rules.Revision}
		a := &g.Action
		if err := tx.NewSelect().Model(a).Where("id = ?", id).Scan(ctx); err != nil {
			return fmt.Errorf("load the action: %w", err)
		}
		if err := g.read(ctx, tx, StoryOptions{}); err != nil {
			return err
		}
		made := a.PolicyRevision
		for i := range g.Feedback {
			if f := &g.Feedback[i]; a.FeedbackID != nil && f.ID == *a.FeedbackID {
				g.First = f
				made = deref(f.PolicyRevision)
			}
		}
		var err error
		if g.Case, err = s.pinned(ctx, tx, st, a, g.Events); err != nil {
			return err
		}
		g.Upcoming = sla.Upcoming(g.Case)
		if g.Made, err = s.readRevision(ctx, tx, st, made); err != nil {
			return err
		}
		g.Planned, err = s.readRevision(ctx, tx, st, a.PolicyRevision)
		return err
	})
	if err != nil {
		return Grounds{}, fmt.Errorf("grounds of action %s: %w", id, err)
	}
	return g, nil
}

func (s *Store) readRevision(ctx context.Context, tx bun.Tx, st txState, revision int64) (Revision, error) {
	rules, err := s.rulesOf(ctx, tx, st, revision)
	if err != nil || revision == 0 {
		return Revision{Rules: rules}, err
	}
	var row model.PolicyRevision
	err = tx.NewSelect().Model(&row).ExcludeColumn("document").Where("revision = ?", revision).Scan(ctx)
	if err != nil {
		return Revision{}, fmt.Errorf("load policy revision %d: %w", revision, err)
	}
	return Revision{Rules: rules, AppliedAt: row.CreatedAt, AppliedBy: row.CreatedBy, Note: row.Note}, nil
}

// FeedbackGrounds is what the decision about a feedback rests on.
type FeedbackGrounds struct {
	Feedback model.Feedback    // its words only where it is to be judged again by them
	Action   *model.Action     // made of it, or that it was merged into; nil: none
	Made     model.LogMetadata // the facts recorded when an action was made of it; nil: none was
	Decided  Revision          // of the policy by which it was decided, or by which it would be
	Active   int64             // the policy revision that is active now
	Dir      *sla.Directory
	Now      model.Now
}

// FeedbackGrounds reads them under one snapshot; model.ErrNotFound when there is
// no such feedback.
func (s *Store) FeedbackGrounds(ctx context.Context, id model.FeedbackID) (FeedbackGrounds, error) {
	var g FeedbackGrounds
	err := s.inSnapshot(ctx, func(ctx context.Context, tx bun.Tx, st txState) error {
		g = FeedbackGrounds{Dir: st.Dir, Now: st.Now, Active: st.Rules.Revision}
		f := &g.Feedback
		err := tx.NewSelect().Model(f).ExcludeColumn("raw", "metadata", "title", "text", "content_hash", "subject_key").Where("id = ?", id).Scan(ctx)
		if err != nil {
			return fmt.Errorf("load the feedback: %w", err)
		}
		if f.Decision != model.DecisionCreated {
			if err := tx.NewSelect().Model(f).Column("title", "text").Where("id = ?", id).Scan(ctx); err != nil {
				return fmt.Errorf("load the words that it is judged by: %w", err)
			}
		}
		revision := st.Rules.Revision
		if f.PolicyRevision != nil {
			revision = *f.PolicyRevision
		}
		if g.Decided, err = s.readRevision(ctx, tx, st, revision); err != nil || f.ActionID == nil {
			return err
		}
		g.Action = &model.Action{}
		if err := tx.NewSelect().Model(g.Action).Where("id = ?", *f.ActionID).Scan(ctx); err != nil {
			return fmt.Errorf("load its action: %w", err)
		}
		if f.Decision == model.DecisionCreated {
			g.Made, err = madeFacts(ctx, tx, *f.ActionID)
		}
		return err
	})
	if err != nil {
		return FeedbackGrounds{}, fmt.Errorf("grounds of feedback %s: %w", id, err)
	}
	return g, nil
}

// madeFacts are those recorded when an action was made.
func madeFacts(ctx context.Context, tx bun.Tx, id model.ActionID) (model.LogMetadata, error) {
	var l model.ActionLog
	err := tx.NewSelect().Model(&l).Column("metadata").Where("action_id = ? AND log_type = ?", id, model.LogCreated).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("load the first of its log: %w", err)
	}
	return l.Metadata.V, nil
}
