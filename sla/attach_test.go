package sla_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
)

func someFile(evidence bool) *model.ActionAttachment {
	return &model.ActionAttachment{
		ID: idOf[model.ActionAttachment]("f"), Filename: "Secret name.pdf", Description: "Secret words", FileType: "application/pdf",
		FileSize: 7, SHA256: []byte{0xab, 0xcd}, StorageKey: "k", IsEvidence: evidence,
	}
}

func TestAFileIsAddedToTheStory(t *testing.T) {
	t.Parallel()
	for message, evidence := range map[string]bool{"Evidence added": true, "File added": false} {
		s := opened(t, model.SeverityHigh)
		before := s.c.Action
		s.move(at(1), sla.MoveRequest{Move: model.MoveAttach, Actor: personID("ann").Ptr(), File: someFile(evidence)})
		require.Len(t, s.last.Logs, 1)
		l := s.last.Logs[0]
		require.Equal(t, model.LogEvidence, l.LogType)
		require.Equal(t, message, l.Message)
		require.Empty(t, l.Text)
		require.Equal(t, model.LogMetadata{
			"move": model.MoveAttach, "attachment": someFile(evidence).ID.String(), "file_type": "application/pdf", "file_size": int64(7),
			"sha256": "abcd", "is_evidence": evidence,
		}, l.Metadata.V, "facts, neither name nor description")
		require.Len(t, s.last.Files, 1)
		f := s.last.Files[0]
		require.Equal(t, []any{before.ID, personID("ann"), at(1), at(1), "k"}, []any{f.ActionID, *f.UploadedBy, f.CreatedAt, f.UpdatedAt, f.StorageKey})
		after := s.c.Action
		require.Equal(t, []any{before.Status, before.DueAt, before.NextAt, before.Gen}, []any{after.Status, after.DueAt, after.NextAt, after.Gen}, "the plan stays")
		require.Equal(t, before.Version+1, after.Version)
	}
}

func TestAFileIsAddedWhileHeld(t *testing.T) {
	t.Parallel()
	s := opened(t, model.SeverityMedium).move(at(1), sla.MoveRequest{Move: model.MoveHold, Actor: personID("ann").Ptr(), Reason: "waits"})
	s.move(at(2), sla.MoveRequest{Move: model.MoveAttach, Actor: personID("ann").Ptr(), File: someFile(true)})
	require.True(t, s.c.Action.Held())
}

func TestAFileIsRefused(t *testing.T) {
	t.Parallel()
	s := opened(t, model.SeverityHigh)
	_, err := sla.Apply(s.c, sla.MoveRequest{Move: model.MoveAttach, Actor: personID("ann").Ptr()}, at(1))
	var faults model.FieldErrors
	require.ErrorAs(t, err, &faults)
	require.Equal(t, []string{"file", "required"}, []string{faults[0].Field, faults[0].Code})
	_, err = sla.Apply(s.c, sla.MoveRequest{Move: model.MoveAttach, Actor: personID("gone").Ptr(), File: someFile(true)}, at(1))
	require.ErrorIs(t, err, model.ErrForbidden)
	s.move(at(2), by("pxa", model.MoveCancel))
	_, err = sla.Apply(s.c, sla.MoveRequest{Move: model.MoveAttach, Actor: personID("ann").Ptr(), File: someFile(true)}, at(3))
	require.ErrorAs(t, err, new(*model.TransitionError))
}
