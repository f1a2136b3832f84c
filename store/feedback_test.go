package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
)

// intakeStore is a store with one hospital.
func intakeStore(t *testing.T) (*Store, model.HospitalID) {
	t.Helper()
	s, err := Open(testenv.DatabaseURL(t), Options{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	h := model.Hospital{ID: model.NewID[model.Hospital](), Code: "RUH", Name: "R", Zone: "UTC", Active: true, CreatedAt: at, UpdatedAt: at, Aliases: model.Of(model.Aliases{})}
	_, err = s.DB().NewInsert().Model(&h).Exec(t.Context())
	require.NoError(t, err)
	return s, h.ID
}

func incomingRow(h model.HospitalID, event, content string) model.Feedback {
	return model.Feedback{
		SourceSystem: "his", EventID: event, ContentHash: []byte(content), SourceType: model.SourceComplaint, HospitalID: h.Ptr(),
		Mode: model.ModeLive, Involved: model.Of([]model.UserID{}), Metadata: model.Of(json.RawMessage(`{}`)),
	}
}

func TestBadRowNeverSinksItsBatch(t *testing.T) {
	t.Parallel()
	s, h := intakeStore(t)
	rows := make([]model.Feedback, 9)
	for i := range rows {
		rows[i] = incomingRow(h, fmt.Sprint(i), "c")
	}
	rows[3].Metadata.V = json.RawMessage(`{"a":"Patientwort\u0000"}`)
	rows[7].HospitalID = model.NewID[model.Hospital]().Ptr()
	answers, effects, err := s.AcceptFeedback(t.Context(), rows)
	require.NoError(t, err)
	assert.Len(t, effects.Create, 7)
	for i, a := range answers {
		if i == 3 || i == 7 {
			require.Error(t, a.Err, i)
			assert.NotContains(t, a.Err.Error(), "Patientwort")
			continue
		}
		require.NoError(t, a.Err, i)
		assert.True(t, a.New)
		assert.Equal(t, fmt.Sprint(i), a.Row.EventID)
	}
}

func TestAcceptedRowsAreStamped(t *testing.T) {
	t.Parallel()
	s, h := intakeStore(t)
	virtual := time.Date(2027, 5, 1, 10, 0, 0, 500, time.UTC)
	require.NoError(t, s.SetClock(t.Context(), virtual, 1))
	sent := virtual.Add(-time.Hour).Truncate(time.Second)
	rows := []model.Feedback{incomingRow(h, "a", "c"), incomingRow(h, "b", "c")}
	rows[1].ReceivedAt = sent
	answers, _, err := s.AcceptFeedback(t.Context(), rows)
	require.NoError(t, err)
	now, err := s.Now(t.Context())
	require.NoError(t, err)
	for i, a := range answers {
		row, err := s.Feedback(t.Context(), a.Row.ID)
		require.NoError(t, err)
		assert.WithinDuration(t, now.Domain, row.CreatedAt, time.Minute, "domain time")
		assert.WithinDuration(t, now.Machine.Add(s.grace), row.HealAfter, time.Minute, "machine time")
		assert.Zero(t, row.CreatedAt.Nanosecond())
		if want := []time.Time{row.CreatedAt, sent}[i]; !row.ReceivedAt.Equal(want) {
			t.Errorf("received at %s, want %s", row.ReceivedAt, want)
		}
	}
}

func TestRepeatsWithinACallFollowTheirOrder(t *testing.T) {
	t.Parallel()
	s, h := intakeStore(t)
	quarantined := incomingRow(h, "q", "bad")
	quarantined.Decision, quarantined.Reason = model.DecisionQuarantined, "unreadable"
	rows := []model.Feedback{
		incomingRow(h, "z", "1"), incomingRow(h, "a", "1"), incomingRow(h, "z", "1"), incomingRow(h, "z", "2"),
		quarantined, incomingRow(h, "q", "good"), quarantined, incomingRow(h, "q", "good"),
	}
	answers, effects, err := s.AcceptFeedback(t.Context(), rows)
	require.NoError(t, err)
	var got []string
	for _, a := range answers {
		switch {
		case a.Err != nil:
			require.ErrorIs(t, a.Err, model.ErrEventChanged)
			got = append(got, "changed")
		case a.New:
			got = append(got, "new "+string(a.Row.Decision))
		default:
			got = append(got, "same")
		}
	}
	assert.Equal(t, []string{"new ", "new ", "same", "changed", "new quarantined", "new ", "changed", "same"}, got)
	assert.Len(t, effects.Create, 3)
	assert.Equal(t, answers[4].Row.ID, answers[5].Row.ID)

	again, effects, err := s.AcceptFeedback(t.Context(), rows[:1])
	require.NoError(t, err)
	assert.False(t, again[0].New)
	assert.Equal(t, answers[0].Row.ID, again[0].Row.ID)
	assert.Len(t, effects.Create, 1, "an undecided repeat is enqueued again")
}

func TestReplacingTheQuarantinedIsDoneOnce(t *testing.T) {
	t.Parallel()
	s, h := intakeStore(t)
	q := incomingRow(h, "q", "bad")
	q.Decision, q.Reason = model.DecisionQuarantined, "unmapped:hospital"
	answers, _, err := s.AcceptFeedback(t.Context(), []model.Feedback{q})
	require.NoError(t, err)
	good := answers[0].Row
	good.Decision, good.Reason, good.ContentHash = "", "", []byte("good")
	var wg sync.WaitGroup
	var mu sync.Mutex
	written := 0
	for range 8 {
		wg.Go(func() {
			failed, effects, err := s.ReplaceQuarantined(t.Context(), []Replacement{{Row: good, Was: []byte("bad")}})
			assert.NoError(t, err)
			assert.Empty(t, failed)
			mu.Lock()
			defer mu.Unlock()
			written += len(effects.Create)
		})
	}
	wg.Wait()
	assert.Equal(t, 1, written)
	left, err := s.Quarantined(t.Context(), QuarantineFilter{})
	require.NoError(t, err)
	assert.Empty(t, left)
	known, err := s.FeedbackByEvents(t.Context(), "his", []string{"q", "none"})
	require.NoError(t, err)
	assert.Len(t, known, 1)
	_, err = s.FeedbackByEvent(t.Context(), "crm", "q")
	require.ErrorIs(t, err, model.ErrNotFound)
}

func TestKeysAreChecked(t *testing.T) {
	t.Parallel()
	s, h := intakeStore(t)
	past := time.Now().Add(-time.Minute)
	sound := func() *model.APIKey {
		return &model.APIKey{Name: "his", SourceSystem: "his", Scopes: model.Of(Scopes())}
	}
	tests := []struct {
		name   string
		change func(*model.APIKey)
		field  string // empty: made
	}{
		{"a sound key", func(*model.APIKey) {}, ""},
		{"a key for a hospital", func(k *model.APIKey) { k.Hospitals.V = []model.HospitalID{h} }, ""},
		{"no name", func(k *model.APIKey) { k.Name = "" }, "key.name"},
		{"no source system", func(k *model.APIKey) { k.SourceSystem = "" }, "key.source_system"},
		{"a blank source system", func(k *model.APIKey) { k.SourceSystem = " \t" }, "key.source_system"},
		{"a blank name", func(k *model.APIKey) { k.Name = "  " }, "key.name"},
		{"every source system", func(k *model.APIKey) { k.SourceSystem = "*" }, "key.source_system"},
		{"no scope", func(k *model.APIKey) { k.Scopes.V = nil }, "key.scopes"},
		{"an unknown scope", func(k *model.APIKey) { k.Scopes.V = []string{"admin"} }, "key.scopes"},
		{"an unknown wish", func(k *model.APIKey) { k.OnUnmapped = "drop" }, "key.on_unmapped"},
		{"expired from the start", func(k *model.APIKey) { k.ExpiresAt = &past }, "key.expires_at"},
		{"an unknown hospital", func(k *model.APIKey) { k.Hospitals.V = []model.HospitalID{model.NewID[model.Hospital]()} }, "key.hospitals"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k := sound()
			tt.change(k)
			secret, err := s.CreateKey(t.Context(), k)
			if tt.field != "" {
				var fe model.FieldErrors
				require.ErrorAs(t, err, &fe)
				assert.Equal(t, tt.field, fe[0].Field)
				return
			}
			require.NoError(t, err)
			assert.Regexp(t, `^px_[0-9A-Za-z]{40}$`, secret)
			assert.True(t, strings.HasPrefix(secret, k.Prefix))
			assert.Len(t, k.Prefix, 10)
			got, err := s.KeyByHash(t.Context(), HashKey(secret))
			require.NoError(t, err)
			assert.Equal(t, k.ID, got.ID)
			assert.Equal(t, model.UnmappedReject, got.OnUnmapped)
		})
	}
}

func TestKeysAreRevokedOnce(t *testing.T) {
	t.Parallel()
	s, _ := intakeStore(t)
	k := &model.APIKey{Name: "his", SourceSystem: "his", Scopes: model.Of(Scopes())}
	_, err := s.CreateKey(t.Context(), k)
	require.NoError(t, err)
	first, err := s.RevokeKey(t.Context(), k.Prefix)
	require.NoError(t, err)
	again, err := s.RevokeKey(t.Context(), k.ID.String())
	require.NoError(t, err)
	assert.WithinDuration(t, *first.RevokedAt, *again.RevokedAt, time.Microsecond)
	_, err = s.RevokeKey(t.Context(), "px_nobody")
	require.ErrorIs(t, err, model.ErrNotFound)
	_, err = s.KeyByHash(t.Context(), HashKey("px_nobody"))
	require.ErrorIs(t, err, model.ErrNotFound)

	other := &model.APIKey{Name: "crm", SourceSystem: "crm", Scopes: model.Of(Scopes())}
	_, err = s.CreateKey(t.Context(), other)
	require.NoError(t, err)
	_, err = s.DB().NewUpdate().Model(other).Set("prefix = ?", k.Prefix).WherePK().Exec(t.Context())
	require.NoError(t, err)
	_, err = s.RevokeKey(t.Context(), k.Prefix)
	var fe model.FieldErrors
	require.ErrorAs(t, err, &fe)
}

func TestAKeyIsRotated(t *testing.T) {
	t.Parallel()
	s, _ := intakeStore(t)
	k := &model.APIKey{Name: "his", SourceSystem: "his", Scopes: model.Of([]string{ScopeActionsRead}), OnUnmapped: model.UnmappedQuarantine}
	_, err := s.CreateKey(t.Context(), k)
	require.NoError(t, err)
	before := time.Now()
	old, next, secret, err := s.RotateKey(t.Context(), k.Prefix, time.Hour)
	require.NoError(t, err)
	require.WithinRange(t, *old.ExpiresAt, before.Add(59*time.Minute), time.Now().Add(61*time.Minute))
	found, err := s.KeyByHash(t.Context(), HashKey(secret))
	require.NoError(t, err)
	require.Equal(t, next.ID, found.ID)
	require.NotEqual(t, k.ID, found.ID)
	require.Equal(t, []any{k.Name, k.SourceSystem, k.Scopes, k.OnUnmapped}, []any{found.Name, found.SourceSystem, found.Scopes, found.OnUnmapped})
	require.Nil(t, found.ExpiresAt)
	again, _, _, err := s.RotateKey(t.Context(), k.ID.String(), 24*time.Hour)
	require.NoError(t, err)
	require.True(t, again.ExpiresAt.Equal(*old.ExpiresAt), "a longer overlap does not lengthen what was to end")
	_, err = s.RevokeKey(t.Context(), next.Prefix)
	require.NoError(t, err)
	var faults model.FieldErrors
	_, _, _, err = s.RotateKey(t.Context(), next.Prefix, time.Hour)
	require.ErrorAs(t, err, &faults)
	_, _, _, err = s.RotateKey(t.Context(), "px_nobody", time.Hour)
	require.ErrorIs(t, err, model.ErrNotFound)
}
