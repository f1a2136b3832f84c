package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThePageFollowsTheCode(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", file))
	require.NoError(t, err)
	want, err := page(string(text))
	require.NoError(t, err)
	require.Equal(t, want, string(text), "make docs writes it anew")
}

func TestAPageWithoutAPartIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "<!-- rights -->\n", "<!-- rights -->\n<!-- end -->\n"} {
		_, err := page(text)
		require.ErrorContains(t, err, "has no part between", "%q", text)
	}
}
