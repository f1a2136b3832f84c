package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pxactions/px/internal/files"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

const (
	// fileLimit is how large a file may be (bytes) where nothing else is set.
	fileLimit = 25 << 20
	// uploadTimeout (machine time) ends an upload, its commit included, well before
	// a sweep would take its file for an orphan.
	uploadTimeout = 30 * time.Minute
	// attachTimeout (machine time) is how long a file's commit, or its taking away,
	// may take once the file is there.
	attachTimeout = 30 * time.Second
	// lookTimeout (machine time) is how long a look at the database may take before
	// a file is on its way.
	lookTimeout = 10 * time.Second
	// descriptionMax is how long a description may be, in bytes.
	descriptionMax = 2000
)

// AttachRequest says to which action a file is added, by whom, and what it is.
type AttachRequest struct {
	ActionID    model.ActionID
	Version     int64         // the version the person saw; 0: any
	Actor       *model.UserID // nil: an API key that names nobody, or an operator without a name
	Origin      model.Origin  // where it came from, for the log
	Filename    string        // as the sender calls it
	Description string        // words; may be empty
	Evidence    bool          // it counts where evidence is asked for
}

// Attach adds a file to an action: its bytes to the storage, its row and the
// story's in one transaction. Whether the move is legal is asked before r is
// read. After an error neither is there, at once or after the next sweep. Errors:
// those of Move; model.FieldErrors on file when it is empty, too large or of a
// type that is not kept; r's own.
func (e *Engine) Attach(ctx context.Context, req AttachRequest, r io.Reader) (*model.ActionAttachment, error) {
	row, err := e.attach(ctx, req, r)
	if err != nil {
		e.Metrics.Files.WithLabelValues("refused").Inc()
		return nil, err
	}
	e.Metrics.Files.WithLabelValues("stored").Inc()
	return row, nil
}

func (e *Engine) attach(ctx context.Context, req AttachRequest, r io.Reader) (*model.ActionAttachment, error) {
	if e.Files == nil {
		return nil, errNoFiles
	}
	if err := req.check(); err != nil {
		return nil, err
	}
	id := model.NewID[model.ActionAttachment]()
	row := model.ActionAttachment{
		ID: id, StorageKey: fileKey(req.ActionID, id), Description: req.Description, IsEvidence: req.Evidence,
	}
	row.File = row.StorageKey
	move := sla.MoveRequest{Move: model.MoveAttach, Actor: req.Actor, Origin: req.Origin, File: &row}
	look, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if err := e.Store.TryMove(look, store.Move{ActionID: req.ActionID, Version: req.Version, Request: move}); err != nil {
		return nil, err
	}
	ctx, cancel = context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	stored, err := e.Files.Put(ctx, row.StorageKey, r, e.FileLimit)
	if err != nil {
		return nil, fmt.Errorf("attach to action %s: %w", req.ActionID, err)
	}
	row.Filename = files.Name(req.Filename, stored.Type)
	row.FileType, row.FileSize, row.SHA256 = stored.Type, stored.Size, stored.SHA256
	return e.commitFile(ctx, req, move)
}

// commitFile makes the move of a file that is stored, whether or not its sender
// still listens.
func (e *Engine) commitFile(ctx context.Context, req AttachRequest, move sla.MoveRequest) (*model.ActionAttachment, error) {
	ctx = context.WithoutCancel(ctx)
	commit, cancel := context.WithTimeout(ctx, attachTimeout)
	defer cancel()
	after, err := e.Move(commit, req.ActionID, req.Version, move)
	if err == nil {
		row := *move.File
		row.ActionID, row.UploadedBy, row.CreatedAt, row.UpdatedAt = req.ActionID, req.Actor, after.UpdatedAt, after.UpdatedAt
		return &row, nil
	}
	if errors.Is(err, model.ErrUnavailable) || commit.Err() != nil {
		return nil, err // it may have been committed: the sweep knows
	}
	clean, cancel := context.WithTimeout(ctx, attachTimeout)
	defer cancel()
	if derr := e.Files.Delete(clean, move.File.StorageKey); derr != nil {
		e.Log.Warn().Err(derr).Stringer("attachment", move.File.ID).Msg("file of a refused upload left to the sweep")
	}
	return nil, err
}

// errNoFiles is what a process without storage answers.
var errNoFiles = fmt.Errorf("%w: this process keeps no files", model.ErrUnavailable)

// check finds what PostgreSQL could not hold, before the file is read.
func (r *AttachRequest) check() error {
	var faults model.FieldErrors
	if len(r.Description) > descriptionMax {
		faults.Add("description", "range", fmt.Sprintf("at most %d bytes", descriptionMax))
	}
	if strings.ContainsRune(r.Description, 0) || !utf8.ValidString(r.Description) {
		faults.Add("description", "format", "must be UTF-8 text without NUL characters")
	}
	return faults.Err()
}

// OpenAttachment reads an attachment's row and its file. Close the reader. Whether
// a reader may see its action is the caller's to decide. Errors:
// model.ErrNotFound when there is no such attachment, or it was erased, or its file
// is missing, which is logged; model.ErrUnavailable.
func (e *Engine) OpenAttachment(ctx context.Context, id model.AttachmentID) (*model.ActionAttachment, io.ReadCloser, error) {
	look, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	row, err := e.Store.Attachment(look, id)
	if err != nil {
		return nil, nil, err
	}
	if row.ErasedAt != nil {
		return nil, nil, fmt.Errorf("attachment %s: it was erased: %w", id, model.ErrNotFound)
	}
	if e.Files == nil {
		return nil, nil, errNoFiles
	}
	r, err := e.Files.Open(ctx, row.StorageKey)
	if errors.Is(err, model.ErrNotFound) {
		e.Metrics.Files.WithLabelValues("missing").Inc()
		e.Log.Error().Stringer("attachment", id).Stringer("action", row.ActionID).Msg("file of an attachment is missing")
		return nil, nil, fmt.Errorf("attachment %s: its file is missing from the storage: %w", id, model.ErrNotFound)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("attachment %s: %w", id, err)
	}
	return row, r, nil
}
