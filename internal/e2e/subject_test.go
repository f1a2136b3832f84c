package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
)

// TestASubjectIsExportedHeldAndPurged by its plain number, with nothing but the
// command line.
func TestASubjectIsExportedHeldAndPurged(t *testing.T) {
	t.Parallel()
	c := newCluster(t, testenv.DatabaseURL(t), testenv.RedisURL(t))
	key := c.furnish(directory(1, "", "log"), policy(hours{target: 48, reminder: 4, gap: 2}))
	ps := c.start("producer", "worker")
	a := post(t, ps[0], key, toJSON(t, complaint("1", model.SeverityHigh, map[string]any{"text": marker, "subject": "MRN 7"})))
	require.Equal(t, http.StatusAccepted, a.code, a.body)
	c.decided("1")
	var ref string
	for _, a := range c.ledger().actions {
		ref = a.Ref
	}
	c.px("action", "note", ref, marker, "--as", "sami1")
	exported := func(id string) map[string]int {
		words := map[string]int{}
		for line := range strings.Lines(c.px("subject", "export", id)) {
			var row struct {
				Table string
				Row   json.RawMessage
			}
			require.NoError(t, json.Unmarshal([]byte(line), &row))
			words[row.Table] += strings.Count(string(row.Row), marker)
		}
		return words
	}
	assert.Equal(t, map[string]int{"feedback": 1, "actions": 1, "action_logs": 1}, exported("mrn 7"))

	assert.Contains(t, c.px("action", "legal-hold", ref, "--on", "--reason", "a lawsuit"), ref+" is under legal hold since ")
	r := c.command(nil, "purge", "--subject", "MRN 7")
	assert.Equal(t, 1, r.code)
	assert.Equal(t, "erased the words of 0 actions and 0 feedback, and 0 files\nleft alone: action "+ref+": it is under legal hold\n", r.out)
	assert.Empty(t, r.err)
	assert.Equal(t, 1, exported("MRN 7")["actions"])
	assert.Contains(t, c.px("action", "legal-hold", ref, "--off", "--as", "adam", "--reason", "settled"), "no legal hold")

	assert.Equal(t, "erased the words of 1 actions and 1 feedback, and 0 files\n", c.px("purge", "--subject", "MRN 7"))
	assert.Equal(t, map[string]int{"feedback": 0, "actions": 0, "action_logs": 0}, exported("MRN 7"))
	assert.Contains(t, c.px("audit", "verify"), "0 faults")
	assert.Contains(t, c.px("action", "show", ref), "words erased ")

	for want, args := range map[string][]string{
		"nothing is held about this subject": {"purge", "--subject", "MRN 8"},
		"nothing is held":                    {"subject", "export", "MRN 8"},
		"not blank":                          {"purge", "--subject", " "},
		"--on or --off":                      {"action", "legal-hold", ref, "--reason", "x"},
		"nobody has the code":                {"action", "legal-hold", ref, "--on", "--as", "nobody", "--reason", "x"},
	} {
		r := c.command(nil, args...)
		assert.NotZero(t, r.code, args)
		assert.Contains(t, r.err, want, args)
		assert.NotContains(t, r.err, "MRN", "the number is told nowhere")
	}
	c.holds()
}
