package model

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
)

func chained() *ActionLog {
	by := UserID{UUID: uuid.MustParse("11111111-1111-4111-8111-111111111111")}
	return &ActionLog{
		ActionID: ActionID{UUID: uuid.MustParse("22222222-2222-4222-8222-222222222222")}, Seq: 3, LogType: LogAssignment, Message: "Assigned to ann",
		CreatedBy: &by, OldStatus: StatusOpen, NewStatus: StatusInProgress, Metadata: Of(LogMetadata{"move": MoveAssign, "late_s": int64(60), "told": []string{"ann"}}),
		TextHash: []byte{1, 2}, CreatedAt: time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC),
	}
}

// TestLogHashIsWrittenDown: an auditor's own program must come to the same.
func TestLogHashIsWrittenDown(t *testing.T) {
	t.Parallel()
	l := chained()
	got, err := LogHash(ChainStart(l.ActionID, 0), l)
	if err != nil {
		t.Fatal(err)
	}
	const want = "725d7403814a3957226089789230fec7931e6491265bce4ae795e4b8c3b9dc27"
	if hex.EncodeToString(got) != want {
		t.Errorf("hash = %x, want %s", got, want)
	}
}

func TestLogHashCoversEveryFact(t *testing.T) {
	t.Parallel()
	prev := ChainStart(chained().ActionID, 0)
	hash := func(prev []byte, edit func(*ActionLog)) []byte {
		t.Helper()
		l := chained()
		edit(l)
		h, err := LogHash(prev, l)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	whole := hash(prev, func(*ActionLog) {})
	for name, edit := range map[string]func(*ActionLog){
		"action":   func(l *ActionLog) { l.ActionID = NewID[Action]() },
		"seq":      func(l *ActionLog) { l.Seq++ },
		"type":     func(l *ActionLog) { l.LogType = LogNote },
		"message":  func(l *ActionLog) { l.Message += "." },
		"actor":    func(l *ActionLog) { l.CreatedBy = nil },
		"old":      func(l *ActionLog) { l.OldStatus = "" },
		"new":      func(l *ActionLog) { l.NewStatus = "" },
		"metadata": func(l *ActionLog) { l.Metadata.V["late_s"] = 61 },
		"words":    func(l *ActionLog) { l.TextHash = nil },
		"instant":  func(l *ActionLog) { l.CreatedAt = l.CreatedAt.Add(time.Microsecond) },
	} {
		if bytes.Equal(hash(prev, edit), whole) {
			t.Errorf("another %s has the same hash", name)
		}
	}
	if bytes.Equal(hash(ChainStart(chained().ActionID, 1), func(*ActionLog) {}), whole) {
		t.Error("another start has the same hash")
	}
	// What the database gives back hashes alike: numbers and names are plain there.
	same := hash(prev, func(l *ActionLog) {
		b, err := json.Marshal(l.Metadata.V)
		if err != nil {
			t.Fatal(err)
		}
		l.Metadata.V = nil
		if err := json.Unmarshal(b, &l.Metadata.V); err != nil {
			t.Fatal(err)
		}
		l.CreatedAt = l.CreatedAt.In(time.FixedZone("Riyadh", 3*3600))
		l.ID, l.Text = NewID[ActionLog](), "words"
	})
	if !bytes.Equal(same, whole) {
		t.Error("what comes back from the database has another hash")
	}
}
