package problem

import (
	"net/http"
	"strings"

	"github.com/google/uuid"
)

// RequestHeader carries a request's id, both ways.
const RequestHeader = "X-Request-Id"

// RequestID is the id of a request: the sender's own, or one that is made. It is
// put into the answer.
func RequestID(w http.ResponseWriter, r *http.Request) string {
	id := r.Header.Get(RequestHeader)
	if !validRequestID(id) {
		id = uuid.NewString()
	}
	w.Header().Set(RequestHeader, id)
	return id
}

// validRequestID: what may stand in logs and headers as it is.
func validRequestID(id string) bool {
	const chars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	return len(id) >= 1 && len(id) <= 64 && strings.Trim(id, chars) == ""
}
