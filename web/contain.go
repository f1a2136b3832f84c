package web

import (
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/internal/problem"
)

// contain is deferred: it logs a panic and lets answer tell the reader. The value may
// quote the request, so the log has its type, and the stack says where. Without this
// net/http would log the value.
func contain(log zerolog.Logger, w http.ResponseWriter, r *http.Request, answer func()) {
	v := recover()
	switch {
	case v == nil:
		return
	case v == http.ErrAbortHandler: //nolint:errorlint // as net/http compares it
		panic(v)
	}
	log.Error().Str("request_id", w.Header().Get(problem.RequestHeader)).Str("route", r.Pattern).Str("panic", fmt.Sprintf("%T", v)).
		Bytes("stack", debug.Stack()).Msg("request panicked")
	answer()
}
