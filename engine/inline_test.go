package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
)

// TestWhoWaitsInLineTooLongIsToldToComeAgain: nothing of it was read, and the line
// is as long as it was. There is no store to be asked.
func TestWhoWaitsInLineTooLongIsToldToComeAgain(t *testing.T) {
	t.Parallel()
	e := New(Options{AcceptTimeout: 20 * time.Millisecond})
	t.Cleanup(e.Close)
	require.True(t, e.accepting.TryAcquire(acceptAtOnce))
	receipts, err := e.AcceptRaw(t.Context(), Source{System: "his"}, [][]byte{[]byte(`{}`), []byte(`no JSON`)})
	require.ErrorIs(t, err, model.ErrUnavailable)
	for _, r := range receipts {
		assert.Equal(t, ReceiptRefused, r.Status)
		require.ErrorIs(t, r.Err, model.ErrUnavailable)
	}
	e.accepting.Release(acceptAtOnce)
	assert.True(t, e.accepting.TryAcquire(acceptAtOnce), "it has left the line")
}
