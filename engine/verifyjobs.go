package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

// verifyBatch is how many jobs are compared at a time.
const verifyBatch = 1000

// jobFindings are what the tasks in Redis may be found to be.
type jobFindings struct{ missing, late, stale, ahead, second, orphan, send, create, foreign, queues store.Finding }

func newJobFindings() *jobFindings {
	return &jobFindings{
		missing: store.Finding{Invariant: "I2", What: "job not in Redis", HealedBy: store.HealedByArming},
		stale:   store.Finding{Invariant: "I2", What: "job of an earlier gen in Redis, and the current one is not", HealedBy: store.HealedByArming},
		late:    store.Finding{Invariant: "I2", What: "job in Redis is scheduled later than planned", HealedBy: store.HealedByArming},
		ahead:   store.Finding{Invariant: "I2", What: "job in Redis is ahead of the plan"},
		second:  store.Finding{Invariant: "I2", What: "action armed twice: a job of the current gen that is not its plan's"},
		orphan:  store.Finding{Invariant: "I2", What: "job in Redis of an action that does not exist"},
		foreign: store.Finding{Invariant: "I2", What: "task in Redis that is not of this program"},
		queues:  store.Finding{Invariant: "I2", What: "queue in Redis that is not of this program"},
		create:  store.Finding{Invariant: "I1", What: "task in Redis of feedback that does not exist"},
		send:    store.Finding{Invariant: "I5", What: "task in Redis of a message that does not exist"},
	}
}

// VerifyJobs compares the tasks in Redis with the ledger, both ways. The two are
// read at different moments, so what looks wrong is read once more.
func (e *Engine) VerifyJobs(ctx context.Context, q Holder) ([]store.Finding, error) {
	f := newJobFindings()
	err := unasked(q.Ping(ctx)) // with no job to ask for, too
	if err == nil {
		err = e.verifyArmed(ctx, q, f)
	}
	if err == nil {
		err = e.verifyHeld(ctx, q, f)
	}
	if err == nil {
		var names []string
		names, err = q.StrangeQueues(ctx)
		for _, name := range names {
			f.queues.Add(shown(name))
		}
		err = unasked(err)
	}
	return store.Found(&f.create, &f.missing, &f.stale, &f.late, &f.ahead, &f.second, &f.orphan, &f.foreign, &f.queues, &f.send), err
}

// verifyArmed looks in Redis for each job that must be there.
func (e *Engine) verifyArmed(ctx context.Context, q Holder, f *jobFindings) error {
	var after model.ActionID
	for {
		arms, err := e.Store.Armed(ctx, after, verifyBatch)
		if err != nil || len(arms) == 0 {
			return err
		}
		after = arms[len(arms)-1].ActionID
		missing, late, err := q.Missing(ctx, arms)
		if err != nil {
			return unasked(err)
		}
		if missing, late, err = e.missingStill(ctx, q, append(missing, late...)); err != nil {
			return err
		}
		for _, a := range missing {
			f.missing.Add(a.ID())
		}
		for _, a := range late {
			f.late.Add(a.ID())
		}
	}
}

// missingStill asks once more for those of arms that their rows still expect.
func (e *Engine) missingStill(ctx context.Context, q Holder, arms []tasks.Arm) (missing, late []tasks.Arm, err error) {
	ids := make([]model.ActionID, len(arms))
	for i, a := range arms {
		ids[i] = a.ActionID
	}
	jobs, err := e.Store.Jobs(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	arms = slices.DeleteFunc(arms, func(a tasks.Arm) bool {
		j := jobs[a.ActionID]
		return !j.Expected || j.Gen != a.Gen
	})
	missing, late, err = q.Missing(ctx, arms)
	return missing, late, unasked(err)
}

// verifyHeld looks for the row of each task in Redis.
func (e *Engine) verifyHeld(ctx context.Context, q Holder, f *jobFindings) error {
	var judged error
	err := q.Walk(ctx, func(held []tasks.Held) error {
		judged = e.judgeHeld(ctx, q, held, f)
		return judged
	})
	if judged != nil {
		return judged
	}
	return unasked(err)
}

// judgeHeld compares tasks with their rows, and what seems wrong once more.
func (e *Engine) judgeHeld(ctx context.Context, q Holder, held []tasks.Held, f *jobFindings) error {
	suspects, err := e.suspects(ctx, q, held, f)
	if err != nil || len(suspects) == 0 {
		return err
	}
	again := make([]tasks.Held, len(suspects))
	for i, s := range suspects {
		again[i] = s.Held
	}
	if again, err = q.Still(ctx, again); err != nil {
		return unasked(err)
	}
	if suspects, err = e.suspects(ctx, q, again, f); err != nil {
		return err
	}
	for _, s := range suspects {
		id := s.ID
		if s.Foreign { // its id may be anybody's words
			id = "in queue " + s.Queue
		}
		s.what.Add(id)
	}
	return nil
}

// suspect is a task that is not as the rows say, and what it is then.
type suspect struct {
	tasks.Held
	what *store.Finding
}

func (e *Engine) suspects(ctx context.Context, q Holder, held []tasks.Held, f *jobFindings) ([]suspect, error) {
	var actions []model.ActionID
	var feedback []model.FeedbackID
	var messages []model.MessageID
	for _, h := range held {
		switch {
		case !h.Action.IsZero():
			actions = append(actions, h.Action)
		case !h.Feedback.IsZero():
			feedback = append(feedback, h.Feedback)
		case !h.Message.IsZero():
			messages = append(messages, h.Message)
		}
	}
	jobs, err1 := e.Store.Jobs(ctx, actions)
	feedback, err2 := e.Store.AbsentFeedback(ctx, feedback)
	messages, err3 := e.Store.AbsentMessages(ctx, messages)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	var all []suspect
	var current []tasks.Arm // of stale jobs
	for _, h := range held {
		j, there := jobs[h.Action]
		switch what := f.judge(h, j, there); {
		case what != nil:
			all = append(all, suspect{h, what})
		case slices.Contains(feedback, h.Feedback):
			all = append(all, suspect{h, &f.create})
		case slices.Contains(messages, h.Message):
			all = append(all, suspect{h, &f.send})
		case there && h.Gen < j.Gen && j.Expected:
			current = append(current, *j.Arm)
		}
	}
	missing, _, err := q.Missing(ctx, current)
	for _, h := range held {
		if slices.ContainsFunc(missing, func(a tasks.Arm) bool { return a.ActionID == h.Action && h.Gen < a.Gen }) {
			all = append(all, suspect{h, &f.stale})
		}
	}
	return all, unasked(err)
}

// judge compares a task with its action's row; nil: it is as it should be, or
// stale, which harms nobody: it will find another gen, and do nothing.
func (f *jobFindings) judge(h tasks.Held, j store.Job, there bool) *store.Finding {
	switch {
	case h.Foreign:
		return &f.foreign
	case h.Action.IsZero():
		return nil
	case !there:
		return &f.orphan
	case h.Gen > j.Gen:
		return &f.ahead
	case h.Gen == j.Gen && !h.Dead && (j.Arm == nil || h.ID != j.Arm.ID() || h.Queue != tasks.QueueOf(j.Arm.Kind)):
		return &f.second
	}
	return nil
}
