package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"syscall"
	"time"
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
// that the guard refuses.
func fault(ctx context.Context, err error) *SendError {
	var (
		dns  *net.DNSError
		cert *tls.CertificateVerificationError
		rec  tls.RecordHeaderError
		slow net.Error
	)
	switch {
	case errors.Is(err, errBlocked):
		return permanent("blocked_address")
	case errors.Is(ctx.Err(), context.Canceled):
		return &SendError{Code: "cancelled", cause: ctx.Err()}
	case ctx.Err() != nil:
		return &SendError{Code: "timeout", cause: ctx.Err()}
	case errors.As(err, &cert), errors.As(err, &rec):
		return temporary("tls")
	case errors.As(err, &dns):
		return temporary("dns")
	case errors.Is(err, syscall.ECONNREFUSED):
		return temporary("refused")
	case errors.As(err, &slow) && slow.Timeout():
		return temporary("timeout")
	default:
		return temporary("connection")
	}
}
