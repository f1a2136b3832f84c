package problem

import (
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/rs/zerolog"
)

// Contain is deferred: it logs a panic as message and lets answer tell the caller. The
// value may quote the request, so the log has its type, and the stack says where. Without
// this net/http would log the value.
func Contain(log zerolog.Logger, message string, w http.ResponseWriter, r *http.Request, answer func()) {
	v := recover()
	switch {
	case v == nil:
		return
	case v == http.ErrAbortHandler: //nolint:errorlint // as net/http compares it
		panic(v)
	}
	log.Error().Str("request_id", w.Header().Get(RequestHeader)).Str("route", r.Pattern).Str("panic", fmt.Sprintf("%T", v)).
		Bytes("stack", debug.Stack()).Msg(message)
	answer()
}
