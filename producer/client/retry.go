package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// retryAfter reads the header of that name, in seconds or as a date; 0 for none.
func retryAfter(v string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(v); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// backoff is how long to wait before try n (from 1): exponential with full
// jitter, or longer where the intake says so.
func (c *Client) backoff(n int, err error) time.Duration {
	ceiling := c.base << min(n-1, 20)
	if ceiling > c.ceiling || ceiling <= 0 {
		ceiling = c.ceiling
	}
	wait := ceiling/2 + rand.N(ceiling/2+1)
	var p *Problem
	if errors.As(err, &p) && p.retryAfter > wait {
		return p.retryAfter
	}
	return wait
}

// retryable reports whether trying again may help: the intake was not reached,
// or says that it is away.
func retryable(err error) bool {
	var p *Problem
	if errors.As(err, &p) {
		return p.Temporary()
	}
	return err != nil && !errors.Is(err, context.Canceled)
}

// pause waits, unless ctx ends before or could only end within the wait.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
