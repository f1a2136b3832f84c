package notify

import (
	"context"
	"time"

	"github.com/pxactions/px/internal/guard"
)

// SendError is why a letter was not taken. Its text is built from Code alone
// and holds neither the letter nor an address.
type SendError struct {
	// Permanent: no further try can help, the row ends failed.
	Permanent bool
	// RetryAfter is the earliest next try that the receiver asked for; zero: it asked for none.
	RetryAfter time.Duration
	// Code is machine-readable and stable: smtp_550_5.1.1, http_503, timeout, refused, dns, tls, …
	Code string

	// cause is only ever the context's own error: what a server or the network says may hold an address.
	cause error
}

func (e *SendError) Error() string {
	if e.Permanent {
		return "message refused for good: " + e.Code
	}
	return "message not sent: " + e.Code
}

// Unwrap gives context.Canceled or context.DeadlineExceeded where the caller's
// context ended the try, else nil.
func (e *SendError) Unwrap() error { return e.cause }

func permanent(code string) *SendError { return &SendError{Permanent: true, Code: code} }

func temporary(code string) *SendError { return &SendError{Code: code} }

// fault names a failure of the connection. All are temporary, save an address
// that the guard refuses. cause is the context's own error alone.
func fault(ctx context.Context, err error) *SendError {
	code := guard.Reason(ctx, err)
	if code == guard.Blocked {
		return permanent(code)
	}
	return &SendError{Code: code, cause: ctx.Err()}
}
