package notify

import (
	"io"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

// FuzzSigned looks for calls that their receiver, with one of the secrets they are
// signed with, does not take, and for secrets that do not fit and are signed with.
func FuzzSigned(f *testing.F) {
	f.Fuzz(func(t *testing.T, secrets, id string, body []byte) {
		w := &Webhook{now: time.Now}
		req, fault := w.request(t.Context(), "https://hooks.example/px", Call{ID: id, Secret: secrets, Body: body})
		if fault != nil {
			require.Contains(t, []string{"no_secret", "bad_secret"}, fault.Code)
			require.NotContains(t, fault.Error(), "whsec_")
			return
		}
		sent, err := io.ReadAll(req.Body)
		require.NoError(t, err)
		require.Equal(t, len(body), len(sent))
		for secret := range strings.FieldsSeq(secrets) {
			receiver, err := standardwebhooks.NewWebhook(secret)
			require.NoError(t, err)
			if id != "" { // the library takes no call without one
				require.NoError(t, receiver.Verify(sent, req.Header))
			}
			require.Error(t, receiver.Verify(append(sent, ' '), req.Header))
		}
	})
}

// FuzzRetryAfter looks for answers of a receiver that make us wait for ever, or
// try again before now.
func FuzzRetryAfter(f *testing.F) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, v string) {
		if d := retryAfter(v, now); d < 0 || d > maxRetryAfter {
			t.Errorf("%q: %s", v, d)
		}
	})
}
