package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/testenv"
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
	out = c.px("policy", "apply", "-f", longer)
	assert.Regexp(t, `(?s)~ high_hours: 48 -> 60\n.*\nopen actions: 1\n\npx policy apply \(new calendars reach them\):\n  no due date moves\n  nobody is told\n\nrevision 2 is active: `, out)
	assert.NotContains(t, out, "--apply-to open")
	was := due(t, c)
	assert.Contains(t, c.px("policy", "diff", "-f", longer), "no difference from revision 2\n")
	assert.Contains(t, c.px("policy", "diff", "-f", longer, "--against", "1"), "~ high_hours: 48 -> 60\n")
	assert.Contains(t, c.px("policy", "diff", "-f", c.file("before.yaml", before)), "~ high_hours: 60 -> 48\n")
	out = c.px("policy", "apply", "-f", longer, "--apply-to", "open")
	assert.Contains(t, out, "no difference from revision 2\n\nopen actions: 1\n\npx policy apply --apply-to open:\n  due dates that move: 1, from +12h to +12h, median +12h\n")
	assert.Contains(t, out, "\nrevision 2 is this policy already\n1 open actions are under revision 2 now\n")
	assert.NotContains(t, out, "new calendars")
	assert.Equal(t, was.Add(12*time.Hour), due(t, c), "as it was told")
	r := c.command(nil, "policy", "diff", "-f", c.file("faulty.yaml", "sla: [{ name: a }]\nrouting: [{ name: a, hospital: NIX }]"))
	assert.Equal(t, 1, r.code)
	assert.Regexp(t, `faulty\.yaml:2: routing\[0\]\.hospital`, r.err)
}

// due is when the one action is.
func due(t *testing.T, c *cluster) time.Time {
	t.Helper()
	actions := slices.Collect(maps.Values(c.ledger().actions))
	require.Len(t, actions, 1)
	return actions[0].DueAt
}

// TestAPolicyMayBeAFolder for every command that takes one.
func TestAPolicyMayBeAFolder(t *testing.T) {
	t.Parallel()
	c := newCluster(t, testenv.DatabaseURL(t), testenv.RedisURL(t))
	c.px("directory", "apply", "-f", c.file("directory.yaml", directory(1, "", "log")))
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	write("all.yaml", "max_age: 3d\nrouting: [{ name: a, hospital: TST, priority: 1 }]\n")
	write("tst/routing.yml", "routing:\n  - { name: b, hospital: TST }\n")
	write("tst/sla.yaml", policy(hours{target: 60, reminder: 4, gap: 2}))
	assert.Contains(t, c.px("policy", "validate", "-f", dir), filepath.Join(dir, "tst/routing.yml")+`:2: warning: routing[1]: never fits: "a" comes first`)
	assert.Contains(t, c.px("policy", "apply", "-f", dir), "there is no revision yet: all of it is new\n\nopen actions: 0\n\nrevision 1 is active: 0 triggers, 3 routing rules, 1 SLA configs\n")
	whole := c.px("policy", "export")
	assert.Contains(t, whole, "max_age: 3d")
	assert.Contains(t, c.px("policy", "diff", "-f", c.file("whole.yaml", whole)), "no difference from revision 1\n")
	assert.Contains(t, c.px("policy", "diff", "-f", dir), "no difference from revision 1\n")

	write("tst/routing.yml", "\nrouting:\n  - { name: b, hospital: NIX }\n")
	for _, args := range [][]string{{"apply"}, {"diff"}, {"validate"}} {
		r := c.command(nil, "policy", args[0], "-f", dir)
		assert.Equal(t, 1, r.code, args)
		assert.Contains(t, r.err, filepath.Join(dir, "tst/routing.yml")+":3: routing[1].hospital: ", args)
	}
}
