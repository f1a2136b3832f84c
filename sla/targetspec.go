package sla

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/pxactions/px/model"
)

// TargetSpec is a target in time or in working days: 36h, 90m, 3wd.
type TargetSpec struct {
	Time time.Duration
	Days int // working days of the calendar; above 0: instead of Time
}

// nominal is the target's length, a working day taken as a day.
func (t TargetSpec) nominal() time.Duration {
	if t.Days > 0 {
		return time.Duration(t.Days) * 24 * time.Hour
	}
	return t.Time
}

// MarshalText writes what UnmarshalText reads.
func (t TargetSpec) MarshalText() ([]byte, error) {
	if t.Days > 0 {
		return fmt.Appendf(nil, "%dwd", t.Days), nil
	}
	return []byte(t.Time.String()), nil
}

// UnmarshalText reads 3wd or what time.ParseDuration reads.
func (t *TargetSpec) UnmarshalText(b []byte) error {
	want := errors.New("must be a length of time or of working days, as 36h or 3wd")
	if days, ok := strings.CutSuffix(string(b), "wd"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n <= 0 || n > maxHours/24 {
			return want
		}
		*t = TargetSpec{Days: n}
		return nil
	}
	d, err := time.ParseDuration(string(b))
	if err != nil {
		return want
	}
	*t = TargetSpec{Time: d}
	return nil
}

// AckTargetSpec is a target of acknowledgement, or none.
type AckTargetSpec struct {
	TargetSpec
	None bool
}

// MarshalText writes what UnmarshalText reads.
func (t AckTargetSpec) MarshalText() ([]byte, error) {
	if t.None {
		return []byte("none"), nil
	}
	return t.TargetSpec.MarshalText()
}

// UnmarshalText reads none, or what a TargetSpec reads.
func (t *AckTargetSpec) UnmarshalText(b []byte) error {
	if string(b) == "none" {
		*t = AckTargetSpec{None: true}
		return nil
	}
	*t = AckTargetSpec{}
	if t.TargetSpec.UnmarshalText(b) != nil {
		return errors.New("must be a length of time or of working days, as 4h or 2wd, or none")
	}
	return nil
}

// wholeHours is a severity's target in whole hours, for the table that holds no
// others: rounded up, a working day taken as a day.
func (s *ConfigSpec) wholeHours(sev model.Severity, given *int, builtIn int) int {
	if t, ok := s.Targets[sev]; ok {
		return max(int(math.Ceil(t.nominal().Hours())), 1)
	}
	return orInt(given, builtIn)
}

// ReminderSpec is when a reminder comes: some time before due (4h, 2h open, 24h
// elapsed), or when so much of the target is used up (75%).
type ReminderSpec struct {
	Before  time.Duration
	Percent float64   // of the target; above 0: instead of Before
	Clock   ClockKind // which time it counts; empty: the severity's own
}

// MarshalText writes what UnmarshalText reads.
func (r ReminderSpec) MarshalText() ([]byte, error) {
	text := r.Before.String()
	if r.Percent > 0 {
		text = strconv.FormatFloat(r.Percent, 'f', -1, 64) + "%"
	}
	if r.Clock != "" {
		text += " " + string(r.Clock)
	}
	return []byte(text), nil
}

// UnmarshalText reads 4h, 75%, and either with the word open or elapsed behind it.
func (r *ReminderSpec) UnmarshalText(b []byte) error {
	want := errors.New("must be a time before due or per cent of the target, as 4h, 2h open, 24h elapsed or 75%")
	words := strings.Fields(string(b))
	if len(words) == 0 || len(words) > 2 {
		return want
	}
	var got ReminderSpec
	if len(words) == 2 {
		if got.Clock = ClockKind(words[1]); got.Clock != ClockOpen && got.Clock != ClockElapsed {
			return want
		}
	}
	var err error
	if percent, ok := strings.CutSuffix(words[0], "%"); ok {
		if got.Percent, err = strconv.ParseFloat(percent, 64); err != nil || !(got.Percent > 0 && got.Percent < 100) {
			return want
		}
	} else if got.Before, err = time.ParseDuration(words[0]); err != nil {
		return want
	}
	*r = got
	return nil
}

// StageTargetSpec is whom a stage tells: manager, role:PX Admin, user:ruh-amal.
type StageTargetSpec struct {
	Manager bool
	Role    model.Role
	User    string // code
}

// MarshalText writes what UnmarshalText reads.
func (t StageTargetSpec) MarshalText() ([]byte, error) {
	switch {
	case t.Manager:
		return []byte("manager"), nil
	case t.Role != "":
		return []byte("role:" + string(t.Role)), nil
	default:
		return []byte("user:" + t.User), nil
	}
}

// UnmarshalText reads manager, role:NAME or user:CODE.
func (t *StageTargetSpec) UnmarshalText(b []byte) error {
	kind, name, _ := strings.Cut(string(b), ":")
	name = strings.TrimSpace(name)
	switch {
	case kind == "manager" && name == "":
		*t = StageTargetSpec{Manager: true}
	case kind == "role" && name != "":
		*t = StageTargetSpec{Role: model.Role(name)}
	case kind == "user" && name != "":
		*t = StageTargetSpec{User: name}
	default:
		return errors.New("must be manager, role: and its name, or user: and a code")
	}
	return nil
}
