package tasks

import (
	"strings"
	"testing"
	"time"

	"github.com/pxactions/px/model"
)

func TestIDs(t *testing.T) {
	t.Parallel()
	action, err := model.ParseID[model.Action]("0198c1de-2b7e-7c3a-9d5f-000000000001")
	if err != nil {
		t.Fatal(err)
	}
	message, err := model.ParseID[model.Message]("0198c1de-2b7e-7c3a-9d5f-000000000002")
	if err != nil {
		t.Fatal(err)
	}
	arm := func(kind model.EventKind, stage int, gen int64) string {
		return Arm{ActionID: action, Kind: kind, Stage: stage, Gen: gen}.ID()
	}
	tests := []struct{ name, got, want string }{
		{"a reminder names its number", arm(model.EventReminder, 1, 3), "reminder1.0198c1de2b7e7c3a9d5f000000000001.g3"},
		{"overdue has no stage", arm(model.EventOverdue, 0, 4), "overdue.0198c1de2b7e7c3a9d5f000000000001.g4"},
		{"an escalation names its stage", arm(model.EventEscalation, 2, 5), "escalation2.0198c1de2b7e7c3a9d5f000000000001.g5"},
		{"an approval has no underscore", arm(model.EventApprovalReminder, 1, 6), "approvalreminder1.0198c1de2b7e7c3a9d5f000000000001.g6"},
		{"a message names its attempt", Send{MessageID: message, Attempt: 2}.ID(), "message.0198c1de2b7e7c3a9d5f000000000002.a2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.got != tt.want {
				t.Errorf("got %s, want %s", tt.got, tt.want)
			}
			if strings.Contains(tt.got, "-") {
				t.Errorf("%s: the dashboard cuts an id at its first -", tt.got)
			}
		})
	}
}

func TestCreateID(t *testing.T) {
	t.Parallel()
	ids := feedbackIDs(3)
	if a, b := CreateID(ids[:2]), CreateID(ids[:2]); a != b {
		t.Errorf("the same ids make %s and %s", a, b)
	}
	if a, b := CreateID([]model.FeedbackID{ids[0], ids[1]}), CreateID([]model.FeedbackID{ids[0], ids[2]}); a == b {
		t.Errorf("other ids make the same task id %s, so that one task is lost", a)
	}
}

func TestNoTypeIsAPrefixOfAnother(t *testing.T) {
	t.Parallel()
	types := []string{TypeCreate, TypeReminder, TypeOverdue, TypeEscalation, TypeApproval, TypeAck, TypeResume, TypeSend, TypeHousekeeping}
	for _, a := range types {
		for _, b := range types {
			if a != b && strings.HasPrefix(b, a) {
				t.Errorf("%s is a prefix of %s", a, b)
			}
		}
	}
}

func TestQueuePerKind(t *testing.T) {
	t.Parallel()
	want := map[model.EventKind]string{
		model.EventReminder:         QueueReminder,
		model.EventApprovalReminder: QueueReminder,
		model.EventOverdue:          QueueEscalation,
		model.EventEscalation:       QueueEscalation,
		model.EventAck:              QueueEscalation,
		model.EventResume:           QueueEscalation,
		model.EventApprovalOverdue:  QueueEscalation,
	}
	for _, kind := range model.EventKinds() {
		if got := QueueOf(kind); got != want[kind] {
			t.Errorf("QueueOf(%s) = %s, want %s", kind, got, want[kind])
		}
	}
}

func TestWholeSecond(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 29, 2, 0, 7, 0, time.UTC)
	tests := []struct {
		name     string
		in, want time.Time
	}{
		{"a whole second stays", at, at},
		{"a nanosecond more is the next second", at.Add(1), at.Add(time.Second)},
		{"a nanosecond less is this second", at.Add(-1), at},
		{"none stays none", time.Time{}, time.Time{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := wholeSecond(tt.in); !got.Equal(tt.want) {
				t.Errorf("wholeSecond(%s) = %s, want %s", tt.in, got, tt.want)
			}
		})
	}
}

func TestDecodeNeverQuotesThePayload(t *testing.T) {
	t.Parallel()
	_, err := Decode[CreatePayload](TypeCreate, []byte(`{"feedback":["Mrs Marker 0501234567"]}`))
	if err == nil || strings.Contains(err.Error(), "Marker") {
		t.Errorf("Decode = %v, want an error without the content", err)
	}
}
