package receiver

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

// fuzzSecret is whsec_ and 32 bytes that are all the same.
const fuzzSecret = "whsec_YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="

// FuzzSignature looks for calls that are taken although nobody who knows the
// secret signed them, and for signed ones that are not taken. What is right is
// worked out from the standard's own words, without the library that is tested.
func FuzzSignature(f *testing.F) {
	verifier, err := standardwebhooks.NewWebhook(fuzzSecret)
	require.NoError(f, err)
	w := &Webhook{verifier: verifier}
	f.Fuzz(func(t *testing.T, id, before, after string, late int32, body []byte) {
		at := time.Now().Add(time.Duration(late) * time.Second).Unix()
		mac := hmac.New(sha256.New, []byte(strings.Repeat("a", 32)))
		fmt.Fprintf(mac, "%s.%d.%s", id, at, body)
		good := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		check := func(signatures string) error {
			h := http.Header{}
			h.Set(standardwebhooks.HeaderWebhookID, id)
			h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at, 10))
			h.Set(standardwebhooks.HeaderWebhookSignature, signatures)
			return w.verifier.Verify(body, h)
		}
		given := before + good + after // a list with blanks between
		// What stands behind one more comma the library does not look at.
		signed := slices.ContainsFunc(strings.Split(given, " "), func(s string) bool { return strings.HasPrefix(s+",", good+",") })
		fresh := late > -299 && late < 299
		err := check(given)
		if err == nil {
			require.True(t, signed, "%q is taken for %q", given, good)
			require.True(t, late > -301 && late < 301, "%d s late", late)
		}
		if signed && fresh && id != "" {
			require.NoError(t, err, "%q", given)
		}
		if forged := before + after; !strings.Contains(forged, good) {
			require.Error(t, check(forged), "%q is taken", forged)
		}
		call := Call{ID: id, Body: body, Header: http.Header{}}
		require.Error(t, w.check(&call), "without a signature")
	})
}
