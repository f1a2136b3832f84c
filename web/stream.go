package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/pxactions/px/internal/ops"
	"github.com/pxactions/px/internal/problem"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/store"
)

// pace is how a stream of changes is served, in machine time.
type pace struct {
	poll  time.Duration // between two looks for changes
	beat  time.Duration // without a change until a sign of life
	write time.Duration // that a reader may take for what is sent at once
	most  int32         // readers at once: each looks into the database at each poll
}

func usualPace() pace {
	return pace{poll: 500 * time.Millisecond, beat: 15 * time.Second, write: 10 * time.Second, most: 200}
}

// errCrowded is what one reader too many is told.
var errCrowded = fmt.Errorf("%w: too many readers", model.ErrUnavailable)

// streamRetry is how long (milliseconds) a reader is asked to wait before it
// connects again.
const streamRetry = 1000

// streamChanges answers with the changes that f lets through, as Server-Sent
// Events without an end: behind the header Last-Event-ID or the parameter
// `after`, else from now on. The caller has checked that f may be read; allowed
// says whether it still may, and is asked before each look.
func (s *server) streamChanges(w http.ResponseWriter, r *http.Request, f store.ChangeFilter, allowed func(context.Context) error) {
	s.streamAt(w, r, f, usualPace(), allowed)
}

func (s *server) streamAt(w http.ResponseWriter, r *http.Request, f store.ChangeFilter, p pace, allowed func(context.Context) error) {
	defer s.streams.Add(-1)
	if s.streams.Add(1) > p.most {
		s.streamProblem(w, r, errCrowded)
		return
	}
	page, err := s.streamStart(r, f)
	if err != nil {
		s.streamProblem(w, r, err)
		return
	}
	out := &eventWriter{w: w, c: http.NewResponseController(w), write: p.write}
	// The server's limits are for requests that have an end.
	if err := errors.Join(out.c.SetReadDeadline(time.Time{}), out.c.SetWriteDeadline(time.Time{})); err != nil {
		s.streamProblem(w, r, fmt.Errorf("stream changes: %w", err))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy in between passes on at once
	if r.Method == http.MethodHead {
		return // there is nothing to wait for, and the connection is used again
	}
	fmt.Fprintf(&out.buf, "retry: %d\n", streamRetry)
	s.stream(r.Context(), out, source{f, allowed}, page, p)
}

// streamStart reads where a stream begins, and the first changes from there.
func (s *server) streamStart(r *http.Request, f store.ChangeFilter) (store.ChangePage, error) {
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	field, after := "Last-Event-ID", r.Header.Get("Last-Event-ID")
	if after == "" {
		field, after = "after", r.URL.Query().Get("after")
	}
	if after == "" {
		end, err := s.o.Store.StreamEnd(ctx)
		return store.ChangePage{Next: end}, err
	}
	var err error
	if f.After, err = model.ParseCursor(field, after); err != nil {
		return store.ChangePage{}, err
	}
	return s.o.Store.Changes(ctx, f)
}

// source is what a stream is read from, and whether it still may be.
type source struct {
	store.ChangeFilter
	allowed func(context.Context) error
}

// read is the next page. What is away for a moment is asked again: nothing is
// lost.
func (f *source) read(ctx context.Context, s *store.Store) (store.ChangePage, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	err := f.allowed(ctx)
	var page store.ChangePage
	if err == nil {
		page, err = s.Changes(ctx, f.ChangeFilter)
	}
	if errors.Is(err, model.ErrUnavailable) {
		return store.ChangePage{Next: f.After}, nil
	}
	return page, err
}

// stream sends page by page until the reader goes or may read no more, the server
// stops or the stream is another one. Every so often it sends where it stands, so that who
// comes again need not pass again over what the filter leaves out.
func (s *server) stream(ctx context.Context, out *eventWriter, f source, page store.ChangePage, p pace) {
	stopping := ops.Stopping(ctx)
	poll, beat := time.NewTicker(p.poll), time.NewTicker(p.beat)
	defer poll.Stop()
	defer beat.Stop()
	for first := true; ; first = false {
		if err := out.changes(page.Changes); err != nil {
			s.o.Log.Error().Err(err).Msg("change not written")
			return
		}
		if first || out.buf.Len() > 0 {
			out.place(page.Next)
			beat.Reset(p.beat)
		}
		if out.flush() != nil { // the reader is gone, or does not read
			return
		}
		f.After = page.Next
		for idle := !page.More; idle; {
			select {
			case <-ctx.Done():
				return
			case <-stopping:
				return
			case <-beat.C:
				out.place(f.After)
				if out.flush() != nil {
					return
				}
			case <-poll.C:
				idle = false
			}
		}
		select {
		case <-stopping:
			return
		default:
		}
		var err error
		if page, err = f.read(ctx, s.o.Store); err != nil {
			var key *model.KeyError
			if ctx.Err() == nil && !errors.Is(err, store.ErrCursorGone) && !errors.As(err, &key) {
				s.o.Log.Error().Err(err).Msg("stream of changes failed")
			}
			return
		}
	}
}

// eventWriter writes Server-Sent Events.
type eventWriter struct {
	w     http.ResponseWriter
	c     *http.ResponseController
	write time.Duration
	buf   bytes.Buffer
}

// changes adds an event for each change.
func (o *eventWriter) changes(cs []store.Change) error {
	for i := range cs {
		data, err := json.Marshal(cs[i])
		if err != nil {
			return fmt.Errorf("change %s: %w", cs[i].ID, err)
		}
		fmt.Fprintf(&o.buf, "id: %s\nevent: change\ndata: %s\n\n", cs[i].ID, data)
	}
	return nil
}

// place adds where the reader is to go on. Without data it is no event to its
// program, only the Last-Event-ID that it comes again with.
func (o *eventWriter) place(c model.Cursor) { fmt.Fprintf(&o.buf, ": px\nid: %s\n\n", c) }

// flush sends what was added, if the reader takes it in time.
func (o *eventWriter) flush() error {
	if o.buf.Len() == 0 {
		return nil
	}
	err := o.c.SetWriteDeadline(time.Now().Add(o.write))
	if err == nil {
		_, err = o.buf.WriteTo(o.w)
	}
	if err == nil {
		err = o.c.Flush()
	}
	return err
}

// streamProblem says why no stream begins.
func (s *server) streamProblem(w http.ResponseWriter, r *http.Request, err error) {
	var fields model.FieldErrors
	var p *problem.Problem
	switch {
	case errors.As(err, &fields):
		p = problem.New(http.StatusUnprocessableEntity, "cursor-invalid", "This is no place in the stream", fields.Error())
	case errors.Is(err, store.ErrCursorGone):
		p = problem.New(http.StatusGone, "cursor-gone", "This place is not in the stream any more", err.Error())
	case errors.Is(err, errCrowded):
		p = problem.New(http.StatusServiceUnavailable, problem.Unavailable, "Too many programs follow changes here", "come again, or to another process; nothing is lost")
	case errors.Is(err, model.ErrUnavailable):
		p = problem.New(http.StatusServiceUnavailable, problem.Unavailable, "The database is away", "come again; nothing is lost")
	case r.Context().Err() != nil:
		return
	default:
		s.o.Log.Error().Err(err).Msg("stream of changes failed")
		p = problem.Of(err)
	}
	problem.Write(w, p)
}
