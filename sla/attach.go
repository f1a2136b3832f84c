package sla

import (
	"encoding/hex"

	"github.com/pxactions/px/model"
)

// attach adds a file to the action. The log knows it by facts: its name and
// description may hold a patient's.
func (t *turn) attach(m MoveRequest) error {
	if m.File == nil {
		return fieldError("file", "required", "the file that is to be added")
	}
	f := *m.File
	f.ActionID, f.UploadedBy, f.CreatedAt, f.UpdatedAt = t.Action.ID, t.actor, t.now, t.now
	t.files = append(t.files, f)
	what := "File added"
	if f.IsEvidence {
		what = "Evidence added"
	}
	t.log(model.LogEvidence, what, model.LogMetadata{
		"move": m.Move, "attachment": f.ID.String(), "file_type": f.FileType, "file_size": f.FileSize,
		"sha256": hex.EncodeToString(f.SHA256), "is_evidence": f.IsEvidence,
	})
	return nil
}
