package engine

import (
	"context"
	"errors"

	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

// eraseBatch is how many rows one transaction erases.
const eraseBatch = 500

// Retain erases the words and drops the messages that the active policy does not
// keep any longer, a batch at a time. What was cut off goes on with the next call.
func (e *Engine) Retain(ctx context.Context) error {
	var all store.Erased
	var dropped int
	err := errors.Join(
		batches(ctx, func(after store.Keyset) (store.Keyset, bool, error) {
			done, next, more, err := e.Store.EraseEnded(ctx, after, eraseBatch)
			all.Actions, all.Feedback, all.Files = all.Actions+done.Actions, all.Feedback+done.Feedback, append(all.Files, done.Files...)
			_ = e.deleteFiles(ctx, done.Files) // the sweep has what is left
			return next, more, err
		}),
		batches(ctx, func(after store.Keyset) (store.Keyset, bool, error) {
			done, next, more, err := e.Store.EraseLoose(ctx, after, eraseBatch)
			all.Feedback += done.Feedback
			return next, more, err
		}),
		batches(ctx, func(after store.Keyset) (store.Keyset, bool, error) {
			n, next, more, err := e.Store.DropMessages(ctx, after, eraseBatch)
			dropped += n
			return next, more, err
		}))
	if all.Actions+all.Feedback+dropped > 0 {
		e.Log.Info().Int("actions", all.Actions).Int("feedback", all.Feedback).Int("files", len(all.Files)).Int("messages", dropped).
			Msg("erased what the policy keeps no longer")
	}
	return err
}

// batches takes batch after batch, also behind rows that fail alone, and returns
// all that failed.
func batches(ctx context.Context, take func(store.Keyset) (store.Keyset, bool, error)) error {
	var errs error
	var after store.Keyset
	for more := true; more; {
		var err error
		after, more, err = take(after)
		errs = errors.Join(errs, err)
		if ctx.Err() != nil || errors.Is(err, model.ErrUnavailable) {
			break
		}
	}
	return errs
}

// deleteFiles deletes the files of attachments that were erased, and returns how
// many could not be: those the sweep takes away.
func (e *Engine) deleteFiles(ctx context.Context, refs []store.FileRef) (left int) {
	for _, ref := range refs {
		err := errNoFiles
		if e.Files != nil {
			err = e.Files.Delete(ctx, fileKey(ref.ActionID, ref.ID))
		}
		if err != nil {
			left++
			e.Log.Warn().Err(err).Stringer("attachment", ref.ID).Msg("file of an erased attachment left to the sweep")
		}
	}
	return left
}
