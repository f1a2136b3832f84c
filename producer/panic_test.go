package producer_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
)

const said = "Xylophonewhisper"

// tripwire is a body whose reading panics with the words in it.
type tripwire struct{}

func (tripwire) Read([]byte) (int, error) { panic(said) }

func TestAPanicIsLoggedWithoutItsValue(t *testing.T) {
	t.Parallel()
	w := setup(t)
	req := httptest.NewRequest(http.MethodPost, "/v1/feedback", tripwire{})
	req.Header.Set("Authorization", "Bearer "+w.key())
	req.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	w.producer.ServeHTTP(rec, req)
	assert.Equal(t, http.StatusInternalServerError, rec.Code)
	assert.NotContains(t, rec.Body.String(), said)
	assert.Contains(t, w.log.String(), "intake panicked")
	assert.Contains(t, w.log.String(), "tripwire", "the stack says where")
	assert.NotContains(t, w.log.String(), said)
}
