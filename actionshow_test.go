package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// TestShowTellsOfSubmissions: whether the complainant was told, and by when whom
// is to approve.
func TestShowTellsOfSubmissions(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	ann := model.User{ID: model.NewID[model.User](), Code: "ann"}
	dir := sla.NewDirectory(1, nil, nil, []model.User{ann}, nil)
	for _, tt := range []struct {
		change func(*model.Action)
		want   string
	}{
		{func(a *model.Action) { a.InformedAt, a.InformedHow, a.InformedBy = &at, model.InformedPhone, &ann.ID }, `"complainant_informed":{"at":"2026-03-02T08:00:00Z","by":"ann","how":"phone"}`},
		{func(a *model.Action) { a.NotInformed = "moved away" }, `"complainant_informed":{"why_not":"moved away"}`},
		{func(a *model.Action) { a.SubmittedBy, a.ApprovalDueAt = &ann.ID, &at }, `"approval_due_at":"2026-03-02T08:00:00Z"`},
	} {
		y := store.Story{Dir: dir}
		tt.change(&y.Action)
		got, err := json.Marshal(storyJSON(&y))
		if err != nil || !strings.Contains(string(got), tt.want) {
			t.Errorf("story %s, %v, want %s", got, err, tt.want)
		}
	}
}
