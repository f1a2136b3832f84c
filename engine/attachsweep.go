package engine

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/pxactions/px/internal/files"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

const (
	// filePrefix begins the key of every file of an action. What else is in the
	// storage is not ours.
	filePrefix = "actions/"
	// orphanAge (machine time) is how old a file without a row must be to be taken
	// away: older than an upload may become.
	orphanAge = time.Hour
	// missingMost is how many files one sweep looks for that the list did not have.
	missingMost = 1000
	// unfinished is how the key of a file ends that a killed process had begun.
	unfinished = ".tmp"
)

// fileKey is where an attachment's file is.
func fileKey(action model.ActionID, id model.AttachmentID) string {
	return filePrefix + action.String() + "/" + id.String()
}

// readKey is the reverse of fileKey; whole is false for what was only begun. It
// refuses every key that fileKey does not make.
func readKey(key string) (ref store.FileRef, whole, ok bool) {
	name, rest, cut := strings.Cut(key, ".")
	if cut && !strings.HasSuffix("."+rest, unfinished) {
		return ref, false, false
	}
	action, file, _ := strings.Cut(strings.TrimPrefix(name, filePrefix), "/")
	var aerr, ferr error
	ref.ActionID, aerr = model.ParseID[model.Action](action)
	ref.ID, ferr = model.ParseID[model.ActionAttachment](file)
	return ref, !cut, aerr == nil && ferr == nil && fileKey(ref.ActionID, ref.ID) == name
}

// FilesSwept is what a sweep of the files found.
type FilesSwept struct {
	Orphans int                  // files that no attachment knew, taken away
	Foreign int                  // files of actions that are not in this database, left alone
	Missing []model.AttachmentID // attachments whose file is gone; the first thousand
}

// SweepFiles takes away the files of uploads that came to nothing, and tells of
// attachments whose file is gone. A file of an action that this database does not
// know is left: the storage may be another one's, too. An engine without Files
// does nothing.
func (e *Engine) SweepFiles(ctx context.Context) (FilesSwept, error) {
	var done FilesSwept
	if e.Files == nil {
		return done, nil
	}
	now, err := e.Store.Now(ctx)
	if err != nil {
		return done, err
	}
	s := fileSweep{e: e, before: now.Machine.Add(-orphanAge), done: &done}
	if err := e.Files.Walk(ctx, filePrefix, func(page []files.Object) error { return s.page(ctx, page) }); err != nil {
		return done, err
	}
	if err := s.compare(ctx, nil, store.FileRef{}); err != nil {
		return done, err
	}
	e.tellFiles(&done)
	return done, nil
}

// fileSweep goes through files and rows side by side, both in the order of their
// ids.
type fileSweep struct {
	e      *Engine
	before time.Time     // machine time: older files without a row are orphans
	after  store.FileRef // rows up to here are compared
	done   *FilesSwept
}

// found is a file that the list has.
type found struct {
	files.Object
	ref   store.FileRef
	whole bool
}

func (s *fileSweep) page(ctx context.Context, page []files.Object) error {
	var ours []found
	last := s.after
	for _, o := range page {
		ref, whole, ok := readKey(o.Key)
		if !ok {
			s.done.Foreign++
			continue
		}
		ours = append(ours, found{o, ref, whole})
		if compareRefs(ref, last) > 0 {
			last = ref
		}
	}
	if len(ours) == 0 {
		return nil
	}
	return s.compare(ctx, ours, last)
}

// compare holds the files of a page against the rows up to one; zero: to the end.
func (s *fileSweep) compare(ctx context.Context, page []found, upTo store.FileRef) error {
	rows, err := s.e.Store.AttachmentsBetween(ctx, s.after, upTo)
	if err != nil {
		return err
	}
	known := make(map[store.FileRef]bool, len(rows)) // false: no file seen
	for _, ref := range rows {
		known[ref] = false
	}
	var lost []found
	for _, f := range page {
		if _, ok := known[f.ref]; ok && f.whole {
			known[f.ref] = true
		} else if f.Changed.Before(s.before) {
			lost = append(lost, f)
		}
	}
	s.after = upTo
	for _, ref := range rows {
		if !known[ref] {
			if err := s.miss(ctx, ref); err != nil {
				return err
			}
		}
	}
	return s.takeAway(ctx, lost)
}

// miss looks once more for a file that the list did not have: it may have come
// since.
func (s *fileSweep) miss(ctx context.Context, ref store.FileRef) error {
	if len(s.done.Missing) == missingMost {
		return nil
	}
	there, err := s.e.Files.Exists(ctx, fileKey(ref.ActionID, ref.ID))
	if err == nil && !there {
		s.done.Missing = append(s.done.Missing, ref.ID)
	}
	return err
}

// takeAway deletes files without a row, of actions that are known. It asks for
// each by its ids: no order of a list decides about a deletion.
func (s *fileSweep) takeAway(ctx context.Context, lost []found) error {
	refs := make([]store.FileRef, len(lost))
	for i, f := range lost {
		refs[i] = f.ref
	}
	actions, rows, err := s.e.Store.KnownFiles(ctx, refs)
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range lost {
		if !actions[f.ref.ActionID] {
			s.done.Foreign++
			continue
		}
		if f.whole && rows[f.ref.ID] {
			continue
		}
		if err := s.e.Files.Delete(ctx, f.Key); err != nil {
			errs = append(errs, err)
			continue
		}
		s.done.Orphans++
		s.e.Log.Info().Str("key", f.Key).Time("changed", f.Changed).Msg("file without an attachment taken away")
	}
	return errors.Join(errs...)
}

func (e *Engine) tellFiles(done *FilesSwept) {
	e.Metrics.Files.WithLabelValues("orphan").Add(float64(done.Orphans))
	e.Metrics.Files.WithLabelValues("missing").Add(float64(len(done.Missing)))
	if done.Foreign > 0 {
		e.Log.Warn().Int("files", done.Foreign).Msg("files of actions that this database does not know, left alone")
	}
	if n := len(done.Missing); n > 0 {
		examples := make([]string, min(5, n))
		for i := range examples {
			examples[i] = done.Missing[i].String()
		}
		e.Log.Error().Int("files", n).Strs("examples", examples).Msg("files of attachments are missing")
	}
}

func compareRefs(a, b store.FileRef) int {
	return slices.CompareFunc([][16]byte{a.ActionID.UUID, a.ID.UUID}, [][16]byte{b.ActionID.UUID, b.ID.UUID},
		func(x, y [16]byte) int { return bytes.Compare(x[:], y[:]) })
}
