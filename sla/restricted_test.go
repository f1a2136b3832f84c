package sla

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/pxactions/px/model"
)

// TestRestrictedActionsAreForReaders: whoever has no reader's role neither owns a
// restricted action nor hears of it.
func TestRestrictedActionsAreForReaders(t *testing.T) {
	t.Parallel()
	const stages = "sla: [{name: all, ack_targets: {high: 1h}, stages: {high: [{after_hours: 1, tell: ['user:bob', manager]}, {after_hours: 1, tell: ['role:Staff']}]}}]\n"
	tests := []struct {
		name, policy string
		directory    func(*DirectoryDoc)
		owner        string
		told         []string // by any event, in the order of their codes
	}{
		{name: "built in: a PX Admin, for neither staff nor manager are", owner: "pxa", told: []string{"exe", "pxa", "pxb"}},
		{name: "roles of the policy", policy: "restricted_readers: [Department Manager]\n", owner: "mgr", told: []string{"mgr", "pxa", "pxb"}},
		{name: "the rule's role, where it reads", policy: "restricted_readers: [Staff]\n", owner: "ann", told: []string{"ann", "bob", "pxa", "pxb"}},
		{name: "PX Admins alone", policy: "restricted_readers: []\n", owner: "pxa", told: []string{"pxa", "pxb"}},
		{name: "no substitute who may not read; they are back by the time of the stages", directory: func(d *DirectoryDoc) { absent(map[string]string{"pxa": "cas", "pxb": "exe"})(d) }, owner: "exe", told: []string{"exe", "pxa", "pxb"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, tt.directory)
			r := h.rules(t, tt.policy+"routing: [{name: r, assign_to_role: Staff}]\n"+stages)
			f := h.complaint(t, "RUH", "ED")
			f.Severity, f.Restricted = model.SeverityHigh, true
			d := r.Decide(f, nil, noon(), "RUH-26-0000001")
			a := d.Outcome.Action
			if got := h.code(a.AssignedTo); got != tt.owner {
				t.Fatalf("owner %q by %s, want %q", got, d.Route.By, tt.owner)
			}
			c := Case{Action: a, Config: r.Match(a.HospitalID, a.DepartmentID), Dir: h.dir}
			told := map[string]bool{}
			for _, m := range d.Outcome.Messages {
				told[h.code(&m.RecipientID)] = true
			}
			for c.Action.NextAt != nil {
				out, ok := Fire(c, *c.Action.NextAt)
				if !ok {
					t.Fatal("nothing is due")
				}
				for _, m := range out.Messages {
					told[h.code(&m.RecipientID)] = true
				}
				c.Action, c.Events = out.Action, append(c.Events, out.Events...)
			}
			var got []string
			for code := range told {
				got = append(got, code)
			}
			if slices.Sort(got); !slices.Equal(got, tt.told) {
				t.Errorf("told %v, want %v", got, tt.told)
			}
		})
	}
}

func TestRestrictedActionsAreGivenToReaders(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	r := h.rules(t, "")
	f := h.complaint(t, "RUH", "ED")
	f.Restricted = true
	a := r.Decide(f, nil, noon(), "").Outcome.Action
	c := Case{Action: a, Config: r.Match(a.HospitalID, a.DepartmentID), Dir: h.dir}
	_, err := Apply(c, MoveRequest{Move: model.MoveAssign, Assignee: h.user(t, "mgr")}, noon().Add(time.Minute))
	var faults model.FieldErrors
	if !errors.As(err, &faults) || faults[0].Field != "assignee" || faults[0].Code != "restricted" {
		t.Errorf("to a manager = %v, want it refused", err)
	}
	out, err := Apply(c, MoveRequest{Move: model.MoveAssign, Assignee: h.user(t, "exe")}, noon().Add(time.Minute))
	if err != nil || h.code(out.Action.AssignedTo) != "exe" {
		t.Errorf("to an executive = %v, want it given", err)
	}
}
