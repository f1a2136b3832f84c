package main

import (
	"fmt"
	"strings"
	"time"
)

// The severities, mildest first.
var severities = []string{"low", "medium", "high", "critical"}

// terms are what one SLA config of the harness says. All hours are elapsed ones.
type terms struct {
	name      string
	target    map[string]int // hours, by severity
	reminders []int          // hours before due, largest first
	gap       int            // hours from due to stage 1, and between stages
	approval  int            // hours from a submission until the approval is overdue
	remind    int            // hours before that, when the approvers are reminded
}

// editions are the policies that a run goes through, one edit after another.
func editions() []terms {
	return []terms{
		{"edition 0", map[string]int{"low": 8, "medium": 5, "high": 3, "critical": 2}, []int{2, 1}, 1, 3, 1},
		{"edition 1", map[string]int{"low": 6, "medium": 4, "high": 3, "critical": 1}, []int{1}, 2, 2, 1},
		{"edition 2", map[string]int{"low": 9, "medium": 6, "high": 4, "critical": 3}, []int{3, 2, 1}, 1, 4, 2},
	}
}

// yaml is the policy document of the terms.
func (t terms) yaml() string {
	before := strings.Trim(strings.ReplaceAll(fmt.Sprint(t.reminders), " ", ", "), "[]")
	return fmt.Sprintf(`
routing:
  - { name: To the staff, assign_to_role: Staff }
sla:
  - name: %s
    critical_hours: %d
    high_hours: %d
    medium_hours: %d
    low_hours: %d
    reminder_hours_before: [%s]
    escalation_delay_hours: %d
    approval_target: %dh
    approval_reminder: %dh
    clock: { critical: elapsed, high: elapsed, medium: elapsed, low: elapsed }
    ack_targets: { critical: none, high: none, medium: none, low: none }
`, t.name, t.target["critical"], t.target["high"], t.target["medium"], t.target["low"], before, t.gap, t.approval, t.remind)
}

// rungs is how many stages the built-in ladder has for a severity.
func rungs(severity string) int {
	return map[string]int{"low": 1, "medium": 2, "high": 3, "critical": 3}[severity]
}

func hours(n int) time.Duration { return time.Duration(n) * time.Hour }

// The people of the one hospital.
var (
	staff  = []string{"sami1", "sami2", "sami3", "sami4", "sami5", "sami6"}
	admins = []string{"adam", "anna"}
)

// directory is one hospital with an emergency department, whose people are all
// reached at the hook.
func directory(hook string) string {
	var b strings.Builder
	b.WriteString("hospitals: [{ code: TST, name: Test Hospital }]\n" +
		"departments: [{ hospital: TST, code: ED, name: Emergency, manager: mona }]\nusers:\n")
	person := func(code, role, more string) {
		fmt.Fprintf(&b, "  - { code: %s, name: %s, email: %s@example.org, roles: [%s], hospital: TST, channels: [webhook], webhook_url: %q%s }\n",
			code, code, code, role, hook, more)
	}
	for _, code := range staff {
		person(code, "Staff", ", department: ED")
	}
	person("mona", "Department Manager", ", department: ED")
	for _, code := range admins {
		person(code, "PX Admin", "")
	}
	person("ella", "Executive", "")
	return b.String()
}
