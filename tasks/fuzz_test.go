package tasks

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzDecode looks for payloads, which anybody with the queue's Redis can write,
// that are read as something else than they are written as, or quoted in an error.
func FuzzDecode(f *testing.F) {
	f.Fuzz(func(t *testing.T, payload []byte) {
		decoded[CreatePayload](t, TypeCreate, payload)
		decoded[DeadlinePayload](t, TypeOverdue, payload)
		decoded[SendPayload](t, TypeSend, payload)
	})
}

func decoded[T any](t *testing.T, typ string, payload []byte) {
	t.Helper()
	v, err := Decode[T](typ, payload)
	if err != nil {
		require.EqualError(t, err, "payload of "+typ+" is not as it should be")
		return
	}
	written, err := json.Marshal(v)
	require.NoError(t, err)
	again, err := Decode[T](typ, written)
	require.NoError(t, err)
	require.Equal(t, v, again)
}
