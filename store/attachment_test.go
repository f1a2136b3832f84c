package store_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/pxactions/px/internal/scenario"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

// file is the row of a stored file.
func file(evidence bool) *model.ActionAttachment {
	id := model.NewID[model.ActionAttachment]()
	return &model.ActionAttachment{
		ID: id, File: id.String(), StorageKey: id.String(), Filename: "Secret Name.pdf", FileType: "application/pdf", FileSize: 3,
		SHA256: bytes.Repeat([]byte{7}, 32), Description: "Secret words", IsEvidence: evidence,
	}
}

func attach(w *scenario.World, a *model.Action, evidence bool) *model.ActionAttachment {
	f := file(evidence)
	w.Move(a.ID, sla.MoveRequest{Move: model.MoveAttach, Actor: a.AssignedTo, File: f})
	return f
}

func TestAnAttachmentAndItsStoryAreOneWrite(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	first, second := attach(w, &a, true), attach(w, &a, false)
	rows, err := w.Store.Attachments(t.Context(), a.ID)
	if err != nil || len(rows) != 2 {
		t.Fatalf("attachments = %+v, %v", rows, err)
	}
	if rows[0].ID != second.ID || rows[1].ID != first.ID {
		t.Errorf("order = %s, %s; want the newest first", rows[0].ID, rows[1].ID)
	}
	got, err := w.Store.Attachment(t.Context(), first.ID)
	if err != nil || got.ActionID != a.ID || *got.UploadedBy != *a.AssignedTo || got.Filename != first.Filename || !got.IsEvidence ||
		!bytes.Equal(got.SHA256, first.SHA256) || got.FileSize != 3 || got.CreatedAt.IsZero() {
		t.Errorf("attachment = %+v, %v", got, err)
	}
	after := w.Action(a.ID)
	if after.Version != a.Version+2 || after.LogSeq != a.LogSeq+2 {
		t.Errorf("version %d, log %d; want two more than %d and %d", after.Version, after.LogSeq, a.Version, a.LogSeq)
	}
	if n := w.Count(`SELECT count(*) FROM action_logs l LEFT JOIN log_texts t ON t.log_id = l.id WHERE l.log_type = 'evidence' AND t.log_id IS NULL
		AND l.metadata::text || l.message NOT LIKE '%Secret%'`); n != 2 {
		t.Errorf("%d rows of the story hold facts alone, want 2", n)
	}
	if faults := faultsOf(t, w); len(faults) > 0 {
		t.Errorf("chain: %+v", faults)
	}
	w.Holds()

	// The same file twice is a fault of the program: neither row nor log comes of it.
	results, _, err := w.Store.Move(t.Context(), []store.Move{{ActionID: a.ID, Request: sla.MoveRequest{Move: model.MoveAttach, File: first}}})
	if err != nil || results[0].Err == nil || strings.Contains(results[0].Err.Error(), "Secret") {
		t.Errorf("the same again = %+v, %v; want it refused without its name", results[0].Err, err)
	}
	if w.Action(a.ID).LogSeq != after.LogSeq {
		t.Error("a refused attachment left a log row")
	}
	if _, err := w.Store.Attachment(t.Context(), model.NewID[model.ActionAttachment]()); !errors.Is(err, model.ErrNotFound) {
		t.Errorf("none = %v, want not found", err)
	}
}

func TestAMoveIsTriedWithoutBeingMade(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	a := w.Create(w.Complaint(model.SeverityHigh))[0]
	try := func(id model.ActionID, version int64, m sla.MoveRequest) error {
		return w.Store.TryMove(t.Context(), store.Move{ActionID: id, Version: version, Request: m})
	}
	ok := sla.MoveRequest{Move: model.MoveAttach, Actor: a.AssignedTo, File: file(true)}
	if err := try(a.ID, a.Version, ok); err != nil {
		t.Errorf("what is legal = %v", err)
	}
	if err := try(a.ID, a.Version+1, ok); !errors.Is(err, model.ErrConflict) {
		t.Errorf("another version = %v, want a conflict", err)
	}
	if err := try(model.NewID[model.Action](), 0, ok); !errors.Is(err, model.ErrNotFound) {
		t.Errorf("no action = %v, want not found", err)
	}
	var illegal *model.TransitionError
	if err := try(a.ID, 0, sla.MoveRequest{Move: model.MoveApprove}); !errors.As(err, &illegal) {
		t.Errorf("an illegal one = %v", err)
	}
	if after := w.Action(a.ID); after.Version != a.Version || w.Count("SELECT count(*) FROM action_attachments") != 0 {
		t.Error("something was written")
	}
}

func TestSubmittingAndClosingKnowHowMuchEvidenceThereIs(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	as := w.Create(w.Complaints(2, model.SeverityHigh)...)
	attach(w, &as[0], true)
	attach(w, &as[0], true)
	attach(w, &as[0], false)
	for _, tt := range []struct {
		a    *model.Action
		move model.Move
		want int
	}{
		{&as[0], model.MoveSubmit, 2}, {&as[0], model.MoveClose, 2}, {&as[1], model.MoveSubmit, 0}, {&as[0], model.MoveNote, 0},
	} {
		n, err := w.Store.EvidenceOf(t.Context(), store.Move{ActionID: tt.a.ID, Request: sla.MoveRequest{Move: tt.move}})
		if err != nil || n != tt.want {
			t.Errorf("%s knows of %d, %v; want %d", tt.move, n, err, tt.want)
		}
	}
}

func TestAttachmentsAreListedBetweenTwo(t *testing.T) {
	t.Parallel()
	w := scenario.New(t, scenario.NoAck())
	as := w.Create(w.Complaints(3, model.SeverityHigh)...)
	var all []store.FileRef
	for i := range as {
		for range 2 {
			all = append(all, store.FileRef{ActionID: as[i].ID, ID: attach(w, &as[i], false).ID})
		}
	}
	// Actions and files are numbered in the order of their making.
	between := func(after, upTo store.FileRef) []store.FileRef {
		refs, err := w.Store.AttachmentsBetween(t.Context(), after, upTo)
		if err != nil {
			t.Fatal(err)
		}
		return refs
	}
	var none store.FileRef
	for name, tt := range map[string]struct{ got, want []store.FileRef }{
		"all":     {between(none, none), all},
		"up to":   {between(none, all[2]), all[:3]},
		"after":   {between(all[2], none), all[3:]},
		"between": {between(all[0], all[3]), all[1:4]},
	} {
		if len(tt.got) != len(tt.want) || len(tt.got) > 0 && (tt.got[0] != tt.want[0] || tt.got[len(tt.got)-1] != tt.want[len(tt.want)-1]) {
			t.Errorf("%s = %v, want %v", name, tt.got, tt.want)
		}
	}
	strange := store.FileRef{ActionID: model.NewID[model.Action](), ID: model.NewID[model.ActionAttachment]()}
	actions, rows, err := w.Store.KnownFiles(t.Context(), []store.FileRef{all[0], {ActionID: as[1].ID, ID: strange.ID}, strange})
	if err != nil || len(actions) != 2 || !actions[as[0].ID] || !actions[as[1].ID] || len(rows) != 1 || !rows[all[0].ID] {
		t.Errorf("known = %v, %v, %v", actions, rows, err)
	}
}
