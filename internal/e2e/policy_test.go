package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestAPolicyIsKnownBeforeItIsApplied by what px policy diff says of it.
func TestAPolicyIsKnownBeforeItIsApplied(t *testing.T) {
	t.Parallel()
	c, _ := withAction(t)
	revisions := c.px("policy", "history")
	longer := c.file("longer.yaml", policy(hours{target: 60, reminder: 4, gap: 2}))
	out := c.px("policy", "diff", "-f", longer)
	assert.Contains(t, out, "~ high_hours: 48 -> 60\n")
	assert.Contains(t, out, "\nopen actions: 1\n")
	assert.Contains(t, out, "  no due date moves\n  nobody is told\n", "the SLA config stays")
	assert.Contains(t, out, "  due dates that move: 1, from +12h to +12h, median +12h\n")
	assert.NotContains(t, out, "become overdue")
	assert.Equal(t, revisions, c.px("policy", "history"))

	before := c.px("policy", "export")
	c.px("policy", "apply", "-f", longer)
	assert.Contains(t, c.px("policy", "diff", "-f", longer), "no difference from revision 2\n")
	assert.Contains(t, c.px("policy", "diff", "-f", longer, "--against", "1"), "~ high_hours: 48 -> 60\n")
	assert.Contains(t, c.px("policy", "diff", "-f", c.file("before.yaml", before)), "~ high_hours: 60 -> 48\n")
	r := c.command(nil, "policy", "diff", "-f", c.file("faulty.yaml", "sla: [{ name: a }]\nrouting: [{ name: a, hospital: NIX }]"))
	assert.Equal(t, 1, r.code)
	assert.Regexp(t, `faulty\.yaml:2: routing\[0\]\.hospital`, r.err)
}
