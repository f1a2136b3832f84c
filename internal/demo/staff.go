package demo

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pxactions/px/engine"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

const (
	// workEvery is how often the staff look what they have to do, in real time.
	workEvery = 50 * time.Millisecond
	// hands is how many moves are made at the same time.
	hands = 4
	// moveTries is how often a move is tried when the ledger is busy or away.
	moveTries = 5
	// retryAfter is the domain time until the next try.
	retryAfter = 5 * time.Minute
)

// duty is what the people of one action are about to do.
type duty struct {
	action *action
	waits  int // the stage of escalation before which nobody begins; 0: none
	steps  []step
	at     time.Time // when the first of steps is due, domain time
	tries  int
	busy   bool
}

// staff plays the people of the hospitals.
type staff struct {
	engine *engine.Engine
	dir    *sla.Directory
	clk    clock

	mu     sync.Mutex
	duties map[model.ActionID]*duty
	dealt  map[model.Severity]int
}

func newStaff(e *engine.Engine, dir *sla.Directory, clk clock) *staff {
	return &staff{engine: e, dir: dir, clk: clk, duties: map[model.ActionID]*duty{}, dealt: map[model.Severity]int{}}
}

// hear tells the staff what happened: new actions become duties, and a stage of
// escalation sets those going who waited for it.
func (s *staff) hear(events []event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range events {
		e := &events[i]
		switch e.Kind {
		case kindCreated:
			s.take(e)
		case kindEscalation:
			if d := s.duties[e.action.ID]; d != nil && d.waits > 0 && e.Stage >= d.waits {
				d.waits, d.at = 0, e.At.Add(d.steps[0].after)
			}
		}
	}
}

// take deals a persona to a new action.
func (s *staff) take(e *event) {
	a := e.action
	n := s.dealt[a.Severity]
	left, who := a.firstDue.Sub(e.At), prompt
	if left > 0 {
		who = personaOf(a.Severity, n)
		s.dealt[a.Severity]++
	}
	a.persona = who
	spread := float64(n*37%100) / 100
	steps := who.steps(left, a.RequiresApproval, spread)
	if len(steps) == 0 {
		return
	}
	s.duties[a.ID] = &duty{action: a, waits: who.waitsFor(), steps: steps, at: e.At.Add(steps[0].after)}
}

// work makes the moves that are due until ctx ends.
func (s *staff) work(ctx context.Context) error {
	tick := time.NewTicker(workEvery)
	defer tick.Stop()
	g := &errgroup.Group{}
	g.SetLimit(hands)
	for {
		select {
		case <-ctx.Done():
			return g.Wait()
		case <-tick.C:
		}
		for _, d := range s.due() {
			g.Go(func() error {
				s.do(ctx, d)
				return nil
			})
		}
	}
}

// due takes out the duties whose time has come.
func (s *staff) due() []*duty {
	now := s.clk.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	var ds []*duty
	for _, d := range s.duties {
		if !d.busy && d.waits == 0 && !d.at.After(now) {
			d.busy = true
			ds = append(ds, d)
		}
	}
	slices.SortFunc(ds, func(a, b *duty) int { return a.at.Compare(b.at) })
	return ds
}

// do makes one move. What somebody else has moved meanwhile is left to them.
func (s *staff) do(ctx context.Context, d *duty) {
	move := d.steps[0].move
	req, ok := s.request(d.action, move)
	if !ok {
		s.leave(d)
		return
	}
	_, err := s.engine.Move(ctx, d.action.ID, 0, req)
	s.mu.Lock()
	defer s.mu.Unlock()
	d.busy = false
	switch {
	case err == nil:
		d.steps, d.tries = d.steps[1:], 0
		if len(d.steps) > 0 {
			d.at = s.clk.now().Add(d.steps[0].after)
			return
		}
	case errors.Is(err, model.ErrConflict) || errors.Is(err, model.ErrUnavailable):
		if d.tries++; d.tries < moveTries {
			d.at = s.clk.now().Add(retryAfter)
			return
		}
	}
	delete(s.duties, d.action.ID)
}

func (s *staff) leave(d *duty) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.duties, d.action.ID)
}

// request is a move as the right person would ask for it; false when there is
// nobody to make it.
func (s *staff) request(a *action, move model.Move) (sla.MoveRequest, bool) {
	req := sla.MoveRequest{Move: move, Actor: a.AssignedTo}
	switch move {
	case model.MoveNote:
		req.Text = "Spoke with everybody involved."
	case model.MoveSubmit, model.MoveClose:
		req.ActionPlan, req.Outcome = "Apologise, explain, see that it does not happen again.", "Done and told."
		req.RootCause, req.Informed = "communication", &sla.Informed{At: s.clk.now().Add(-time.Minute), How: model.InformedPhone}
	case model.MoveApprove, model.MoveReject:
		req.Actor = s.approver(a)
	}
	if move == model.MoveReject {
		req.Reason = "Say what was told to the patient."
	}
	return req, req.Actor != nil
}

// approver is a PX Admin who neither owns the action nor is involved, not the
// same for all actions.
func (s *staff) approver(a *action) *model.UserID {
	now := s.clk.now()
	for _, hospital := range []*model.HospitalID{&a.HospitalID, nil} {
		ids := s.dir.Holders(model.RolePXAdmin, hospital, nil, now, a.Involved.V)
		ids = slices.DeleteFunc(ids, func(id model.UserID) bool { return a.AssignedTo != nil && id == *a.AssignedTo })
		if len(ids) > 0 {
			return &ids[int(a.Ref[len(a.Ref)-1])%len(ids)]
		}
	}
	return nil
}
