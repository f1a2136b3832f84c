package sla

import (
	"slices"
	"testing"
	"time"

	"github.com/pxactions/px/model"
)

// TestPlanOfAConfig leads a feedback from the document to the plan: targets in
// working days, reminders of several kinds, stages with people of their own.
func TestPlanOfAConfig(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	p, err := ParsePolicy([]byte(`
calendars:
  - { name: office, timezone: UTC, weekly: { mon-thu: 08:00-16:00 } }
routing: [{ name: all, assign_to_user: ann }]
sla:
  - name: all
    calendar: office
    targets: { medium: 3wd, high: 10h }
    reminders: [2h open, 24h elapsed, 4h]
    stages:
      medium:
        - { after_hours: 1, clock: elapsed, tell: ["role:PX Admin", "user:out"], repeat: 1 }
        - { after_hours: 2, tell: [manager], channels: [email] }
`))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Compile(p, 1, h.dir)
	if err != nil {
		t.Fatal(err)
	}
	f := model.Feedback{SourceType: model.SourceComplaint, HospitalID: h.hospital(t, "RUH"), DepartmentID: h.department(t, "RUH", "ED"), Severity: model.SeverityMedium}
	d := r.Decide(&f, nil, noon(), "RUH-26-0000001") // a Monday
	a := d.Outcome.Action
	if due := time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC); !a.DueAt.Equal(due) {
		t.Fatalf("due %s, want three working days later at the same time, %s", a.DueAt, due)
	}
	open := r.OpenTimeOf("office")
	c := Case{Action: a, Config: r.Match(a.HospitalID, a.DepartmentID), Open: open.Calendar, Dir: h.dir}
	want := []PlannedEvent{
		{model.EventAck, 1, noon().AddDate(0, 0, 1)},                           // a working day
		{model.EventReminder, 1, time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)}, // 24 hours elapsed
		{model.EventReminder, 2, time.Date(2026, 3, 5, 8, 0, 0, 0, time.UTC)},  // 4 of its own, open
		{model.EventReminder, 3, time.Date(2026, 3, 5, 10, 0, 0, 0, time.UTC)}, // 2 open
		{model.EventOverdue, 0, a.DueAt},
		{model.EventEscalation, 1, a.DueAt.Add(time.Hour)},
		{model.EventEscalation, 2, a.DueAt.Add(2 * time.Hour)},
		{model.EventEscalation, 3, a.DueAt.Add(4 * time.Hour)}, // open until then
	}
	if got := Upcoming(c); !slices.Equal(got, want) {
		t.Errorf("plan\n%v, want\n%v", got, want)
	}
	told := [][]string{}
	for range want {
		out, ok := Fire(c, *c.Action.NextAt)
		if !ok {
			t.Fatalf("nothing is due at %s", c.Action.NextAt)
		}
		c.Action, c.Events = out.Action, append(c.Events, out.Events...)
		if e := out.Events[0]; e.Kind == model.EventEscalation {
			told = append(told, h.codes(e.Targets.V))
		}
	}
	// Whom the config names is told each time; instead of who is gone, the substitute.
	for i, want := range [][]string{{"pxa", "pxb", "bob"}, {"pxa", "pxb", "bob"}, {"mgr"}} {
		if !slices.Equal(told[i], want) {
			t.Errorf("stage %d told %v, want %v", i+1, told[i], want)
		}
	}
	rows, _ := r.Rows()
	if rows[0].MediumHours != 72 || rows[0].HighHours != 10 || rows[0].LowHours != 120 || rows[0].ReminderHoursBefore != 2 {
		t.Errorf("row %+v, want the nearest whole hours", rows[0])
	}
}

func TestReminderInPerCent(t *testing.T) {
	t.Parallel()
	s := ConfigSpec{Reminders: []ReminderSpec{{Before: time.Hour}, {Percent: 75}, {Percent: 90, Clock: ClockElapsed}}}
	want := []Reminder{{Before: 10 * time.Hour}, {Before: 4 * time.Hour, Clock: ClockElapsed}, {Before: time.Hour}}
	if got := s.remindersBefore(40 * time.Hour); !slices.Equal(got, want) {
		t.Errorf("reminders %v, want %v", got, want)
	}
}

func TestAStageMayChooseChannels(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(d *DirectoryDoc) {
		for i := range d.Users {
			switch d.Users[i].Code {
			case "pxa":
				d.Users[i].Email, d.Users[i].Channels = "pxa@example.org", []model.Channel{model.ChannelLog, model.ChannelEmail}
			case "pxb":
				d.Users[i].Channels = []model.Channel{model.ChannelLog}
			}
		}
	})
	tn := newTurn(Case{Action: model.Action{HospitalID: *h.hospital(t, "RUH")}, Config: &Config{}, Dir: h.dir}, noon())
	for code, want := range map[string][]model.Channel{"pxa": {model.ChannelEmail}, "pxb": {model.ChannelLog}} {
		id := h.user(t, code)
		if got := tn.channels(id, []model.Channel{model.ChannelEmail}); !slices.Equal(got, want) {
			t.Errorf("%s is told over %v, want %v", code, got, want)
		}
	}
}

func TestPolicyTextForms(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"3wd", "36h0m0s"} {
		var v TargetSpec
		if err := v.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if b, _ := v.MarshalText(); string(b) != text {
			t.Errorf("%s is written as %s", text, b)
		}
	}
	for _, text := range []string{"none", "2wd", "1h0m0s"} {
		var v AckTargetSpec
		if err := v.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if b, _ := v.MarshalText(); string(b) != text {
			t.Errorf("%s is written as %s", text, b)
		}
	}
	for _, text := range []string{"4h0m0s", "75%", "2h0m0s open", "12.5% elapsed"} {
		var v ReminderSpec
		if err := v.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if b, _ := v.MarshalText(); string(b) != text {
			t.Errorf("%s is written as %s", text, b)
		}
	}
	for _, text := range []string{"manager", "role:PX Admin", "user:ruh-amal"} {
		var v StageTargetSpec
		if err := v.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if b, _ := v.MarshalText(); string(b) != text {
			t.Errorf("%s is written as %s", text, b)
		}
	}
	for _, bad := range []string{"", "never", "0wd"} {
		if new(AckTargetSpec).UnmarshalText([]byte(bad)) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	for _, bad := range []string{"", "wd", "0wd", "-1wd", "3 days", "999999wd"} {
		if new(TargetSpec).UnmarshalText([]byte(bad)) == nil {
			t.Errorf("target %q was taken", bad)
		}
	}
	for _, bad := range []string{"", "4", "100%", "0%", "x%", "4h shut", "1h open now"} {
		if new(ReminderSpec).UnmarshalText([]byte(bad)) == nil {
			t.Errorf("reminder %q was taken", bad)
		}
	}
	for _, bad := range []string{"", "manager:x", "role:", "user:", "boss"} {
		if new(StageTargetSpec).UnmarshalText([]byte(bad)) == nil {
			t.Errorf("stage target %q was taken", bad)
		}
	}
}
