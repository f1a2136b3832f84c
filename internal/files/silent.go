package files

import (
	"context"
	"errors"
	"io"
	"time"
)

// patience (machine time) is how long the storage may take for each thing that
// it is asked: to list a page, to begin to give a file, to take the next part.
const patience = 20 * time.Second

// errSilent is a storage that took longer.
var errSilent = errors.New("no answer in time")

// ask asks the storage for one thing, and not for ever.
func (b *Bucket) ask(ctx context.Context, what func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, b.patience, errSilent)
	defer cancel()
	return cause(ctx, what(ctx))
}

// cause is why something ended: the storage's silence or the caller's leaving, if
// it was that.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// patient gives the storage what is to be kept. Each write that it does not take
// in time aborts all of it.
type patient struct {
	io.WriteCloser
	most  time.Duration
	abort context.CancelCauseFunc
}

// Write implements io.Writer.
func (p patient) Write(b []byte) (int, error) {
	defer time.AfterFunc(p.most, func() { p.abort(errSilent) }).Stop()
	return p.WriteCloser.Write(b)
}

// Close implements io.Closer.
func (p patient) Close() error {
	defer time.AfterFunc(p.most, func() { p.abort(errSilent) }).Stop()
	return p.WriteCloser.Close()
}

// reading is a file on its way out; closing it ends its request.
type reading struct {
	io.ReadCloser
	end context.CancelCauseFunc
}

// Close implements io.Closer.
func (r reading) Close() error {
	defer r.end(nil)
	return r.ReadCloser.Close()
}
