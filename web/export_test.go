package web

import (
	"context"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/store"
)

// Stream is the stream of changes as the API serves it to whom it has let in.
func Stream(s *store.Store, log zerolog.Logger, f store.ChangeFilter) http.Handler {
	srv := &server{o: Options{Store: s, Log: log}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { srv.streamChanges(w, r, f, always) })
}

// QuickStream is Stream with other times.
func QuickStream(s *store.Store, f store.ChangeFilter, beat, write time.Duration) http.Handler {
	srv := &server{o: Options{Store: s, Log: zerolog.Nop()}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		srv.streamAt(w, r, f, pace{poll: 10 * time.Millisecond, beat: beat, write: write, most: 5}, always)
	})
}

// always lets a reader read on.
func always(context.Context) error { return nil }
