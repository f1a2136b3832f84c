package notify

import (
	"errors"
	"time"
)

// The row owns the retries: messages.attempts counts the tries and
// messages.next_try_at says when the next one is. Nothing else, neither a
// channel nor the queue, retries a letter.

// MaxAttempts is how often a message is tried before its row ends failed. With
// Backoff they span about a day, so that a mail server may be down overnight.
const MaxAttempts = 12

// maxRetryAfter bounds what a receiver may ask for, so that none parks a message for ever.
const maxRetryAfter = 24 * time.Hour

// steps are the waits after the first tries; the last one stands for all later tries.
func steps() []time.Duration {
	return []time.Duration{15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour}
}

// Backoff is the wait after try number attempt (from 1) failed, in machine
// time: 15 s, 1 m, 5 m, 15 m, 1 h, 2 h, then 4 h. jitter in [0, 1) takes off up
// to a fifth, so that messages that failed together do not come back together;
// 0 gives the full wait.
func Backoff(attempt int, jitter float64) time.Duration {
	all := steps()
	full := all[min(max(attempt, 1), len(all))-1]
	return full - time.Duration(jitter*float64(full)/5)
}

// NextTry says what follows try number attempt (from 1) that failed with err:
// false when the row ends failed, else how long to wait. A receiver's
// Retry-After is honoured up to a day where it is longer than Backoff. An error
// that is no *SendError counts as temporary.
func NextTry(attempt int, err error, jitter float64) (time.Duration, bool) {
	if attempt >= MaxAttempts {
		return 0, false
	}
	wait := Backoff(attempt, jitter)
	var sendErr *SendError
	if !errors.As(err, &sendErr) {
		return wait, true
	}
	if sendErr.Permanent {
		return 0, false
	}
	return sendErr.Wait(wait), true
}

// Wait is how long to wait where our own wait would be so long: as long as the
// receiver asks for, up to a day, where that is longer.
func (e *SendError) Wait(own time.Duration) time.Duration {
	return max(own, min(e.RetryAfter, maxRetryAfter))
}
