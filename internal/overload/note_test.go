package main

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestAnswersAreTakenForWhatTheySay: only a 202 is a promise, and only a refusal
// that was meant as one says that nothing was taken.
func TestAnswersAreTakenForWhatTheySay(t *testing.T) {
	t.Parallel()
	l := newLoad(nil)
	l.note(0, 2, time.Second, 202, []byte(`{"items":[{"status":"accepted","code":202},{"status":"error","code":503}]}`), nil)
	l.note(2, 1, time.Second, 503, []byte(`{"items":[{"status":"error","code":503}]}`), nil)
	l.note(3, 1, time.Second, 503, []byte(`{"code":"unavailable"}`), nil)
	l.note(4, 1, time.Second, 503, []byte(`{"code":"overloaded"}`), nil)
	l.note(5, 1, time.Second, 429, []byte(`{"code":"rate-limited"}`), nil)
	l.note(6, 1, time.Second, 0, nil, errors.New("connection reset"))
	l.note(7, 1, time.Second, 502, []byte(`<html>`), nil)
	l.note(8, 2, time.Second, 500, []byte(`{"code":"internal"}`), nil)
	l.note(0, 0, time.Second, 422, []byte(`{"items":[{"status":"error","code":422}]}`), nil)
	assert.Equal(t, map[int64]outcome{0: accepted, 1: unsure, 2: unsure, 3: unsure, 6: unsure, 7: unsure, 8: unsure, 9: unsure}, l.outcomes)
	assert.Equal(t, sums{requests: 9, limited: 1, overloaded: 1, unavailable: 2, invalid: 1, silent: 2, other: 1, accepted: 1}, l.sum())
	assert.Equal(t, time.Second, l.quantile(.99))
	assert.Equal(t, 1, l.forget())
	assert.Zero(t, l.sum())
	assert.Zero(t, l.quantile(.99))
}

func TestFlagsAreChecked(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-for", "0s"}, {"-times", "0"}, {"-memory", "0"}, {"-measure", "-1s"}, {"more"}, {"-for", "soon"}} {
		_, err := parse(args, io.Discard)
		assert.Error(t, err, "%v", args)
	}
	c, err := parse([]string{"-for", "30s", "-memory", "200"}, io.Discard)
	assert.NoError(t, err)
	assert.Equal(t, [3]any{30 * time.Second, 10, int64(200 << 20)}, [3]any{c.span, c.times, c.memory})
}
