package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/testenv"
)

func TestAnEmptyFileIsNoPolicy(t *testing.T) {
	t.Parallel()
	s := settingsFrom(t, "--database-url="+testenv.DatabaseURL(t))
	apply := func(content string) error {
		file := filepath.Join(t.TempDir(), "policy.yaml")
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		return policyApplyCmd{File: file, By: "test"}.Run(t.Context(), s)
	}
	for _, content := range []string{"", "\n \n", "# triggers:\n#   - all\n", "---\n", "---\n# none\n...\n", "null\n", "~\n"} {
		require.ErrorContains(t, apply(content), "holds no policy", "%q", content)
	}
	for _, content := range []string{"{}", "# built-in rules alone\n{}\n", "routing: []\n"} {
		assert.NoError(t, apply(content), "%q", content)
	}
}
