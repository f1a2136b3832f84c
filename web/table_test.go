package web_test

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
)

// attempt is one move by somebody on one action.
type attempt struct {
	clone
	move model.Move
	part
}

// want is what comes of it, by the transition table, the access table and the two
// rules that come on top.
func (a attempt) want() int {
	own := a.person != "" && a.person == a.owner
	can := func(right model.Right) bool {
		near := map[string]model.Reach{"department": model.ReachDepartment, "hospital": model.ReachHospital}[a.place]
		for _, role := range []model.Role{a.role, model.RoleStaff} {
			if role == model.RoleStaff && (a.role == model.RoleService || a.role == model.RoleAuditor) {
				continue
			}
			reach := model.ReachOf(role, right)
			if near > 0 && reach >= near || own && reach >= model.ReachOwn {
				return true
			}
		}
		return false
	}
	softens := a.move == model.MoveCancel || a.move == model.MoveSeverity
	switch {
	case !can(model.RightView):
		return http.StatusNotFound
	case !slices.Contains(model.Legal(a.status, a.held), a.move):
		return http.StatusConflict
	case !can(model.RightTo(a.move)):
		return http.StatusForbidden
	case (a.move == model.MoveApprove || a.move == model.MoveReject) && (own || a.person == a.submitter):
		return http.StatusForbidden
	case softens && a.source == model.SourceComplaint && (a.role != model.RolePXAdmin || own):
		return http.StatusForbidden
	}
	return http.StatusOK
}

// jsonMoves are those that a JSON body asks for: a file comes otherwise.
func jsonMoves() []model.Move {
	return slices.DeleteFunc(model.Moves(), func(m model.Move) bool { return m == model.MoveAttach })
}

// attempts is every status, held or not, times every move, times every role as
// owner, in reach and out of it.
func attempts() []attempt {
	var all []attempt
	type where struct {
		status model.Status
		held   bool
	}
	places := []where{{model.StatusOpen, true}, {model.StatusInProgress, true}}
	for _, s := range model.Statuses() {
		places = append(places, where{s, false})
	}
	for _, at := range places {
		for _, m := range jsonMoves() {
			for _, p := range parts() {
				add := func(owner, submitter string, source model.SourceType) {
					all = append(all, attempt{clone{at.status, at.held, owner, submitter, source}, m, p})
				}
				owner := "ruh-adel" // nobody of the parts
				if p.role == model.RoleStaff {
					owner = "ruh-huda"
				}
				add(owner, owner, model.SourceComplaint)
				if m == model.MoveCancel || m == model.MoveSeverity {
					add(owner, owner, model.SourceManual)
				}
				if p.place != "" && p.person != "" && p.role != model.RoleStaff {
					add(p.person, owner, model.SourceComplaint)
				}
				if p.role == model.RolePXAdmin && p.place != "" && at.status == model.StatusPendingApproval {
					add(owner, p.person, model.SourceComplaint)
				}
			}
		}
	}
	return all
}

func TestEveryTransitionTimesEveryRole(t *testing.T) {
	t.Parallel()
	s, foreign := newCrowd(t)
	like := s.decide(t, s.Complaint(model.SeverityMedium))
	all := attempts()
	specs := make([]clone, len(all))
	for i, a := range all {
		specs[i] = a.clone
	}
	refs := s.clones(t, like, specs)
	var mu sync.Mutex
	seen := map[int]int{}
	each(len(all), func(i int) {
		a := all[i]
		r, err := s.try(t, http.MethodPost, "/v1/actions/"+refs[i]+"/"+string(a.move), moveContent(a.move), a.headers(foreign)...)
		assert.NoError(t, err)
		got, want := r.status, a.want()
		if got == http.StatusNoContent {
			got = http.StatusOK
		}
		assert.Equal(t, want, got, "%s of %s (held %t, %s, owner %s) by %s %q (%s): %s", a.move, a.status, a.held, a.source, a.owner, a.role, a.person, a.place, r.body)
		mu.Lock()
		defer mu.Unlock()
		seen[got]++
	})
	t.Log(len(all), "attempts:", seen)
	require.Len(t, seen, 4)
	changed := s.Count("SELECT count(*) FROM actions WHERE version > 1")
	assert.Equal(t, seen[http.StatusOK], changed, "what was refused has changed nothing")
}

// TestFiftyPeopleAtOnce lets many people make random moves on one action at the
// same time: what comes of it is one legal history.
func TestFiftyPeopleAtOnce(t *testing.T) {
	t.Parallel()
	s := newService(t)
	f := s.Complaint(model.SeverityMedium)
	f.SourceType = model.SourceManual
	a := s.decide(t, f)
	people := []string{"ruh-amal", "ruh-tariq", "ruh-reem", "ruh-majed", "ruh-salmaz", "ruh-ceo", "grp-px", "", "ruh-cmo", "ber-hoffmann"}
	moves := slices.DeleteFunc(jsonMoves(), func(m model.Move) bool { return m == model.MoveCancel }) // it would be over too soon
	var mu sync.Mutex
	accepted, statuses := 0, map[int]int{}
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range 50 {
		rng := rand.New(rand.NewPCG(26, uint64(i))) //nolint:gosec // not a secret
		wg.Go(func() {
			<-start
			for range 6 {
				m := moves[rng.IntN(len(moves))]
				headers := as(people[(i+rng.IntN(2))%len(people)])
				if rng.IntN(4) == 0 {
					headers = append(headers, "If-Match", `"`+string(rune('1'+rng.IntN(9)))+`"`)
				}
				r, err := s.try(t, http.MethodPost, "/v1/actions/"+a.Ref+"/"+string(m), moveContent(m), headers...)
				assert.NoError(t, err)
				mu.Lock()
				statuses[r.status]++
				if r.status < 300 {
					accepted++
				}
				mu.Unlock()
			}
		})
	}
	close(start)
	wg.Wait()
	t.Log("answers:", statuses)
	for status := range statuses {
		assert.Contains(t, []int{200, 204, 403, 404, 409, 412, 422}, status)
	}
	after := s.Action(a.ID)
	assert.Equal(t, int64(1+accepted), after.Version, "each accepted move is one version, and none is lost")
	assert.Positive(t, accepted)
	s.historyIsLegal(t, after)
	s.Holds()
	assert.GreaterOrEqual(t, after.Gen, after.ArmedGen)
	if after.NextAt != nil {
		assert.Equal(t, after.Gen, after.ArmedGen, "the job that the queue has heard of last is the present one")
	}
}

// historyIsLegal reads an action's log: gapless, and each change of status is one
// of the transition table, from where the one before ended.
func (s *service) historyIsLegal(t *testing.T, a model.Action) {
	t.Helper()
	var logs []model.ActionLog
	require.NoError(t, s.Store.DB().NewSelect().Model(&logs).Where("action_id = ?", a.ID).OrderExpr("seq").Scan(t.Context()))
	status := model.StatusOpen
	for i, l := range logs {
		require.Equal(t, i+1, l.Seq)
		if l.NewStatus == "" || l.OldStatus == l.NewStatus {
			continue
		}
		move, _ := l.Metadata.V["move"].(string)
		require.Equal(t, status, l.OldStatus, "seq %d", l.Seq)
		to, err := model.Transition(&model.Action{Status: l.OldStatus}, model.Move(move), "x")
		require.NoError(t, err, "seq %d", l.Seq)
		require.Equal(t, to, l.NewStatus, "seq %d", l.Seq)
		status = l.NewStatus
	}
	require.Equal(t, status, a.Status)
	require.Equal(t, a.LogSeq, len(logs))
	require.True(t, strings.HasPrefix(a.Ref, "RUH-"))
}
