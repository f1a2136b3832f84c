package e2e

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/testenv"
)

// TestTheTourOfTheAPI runs the commands of docs/api.md as they stand, but for the
// address, and looks for what the page says that they answer.
func TestTheTourOfTheAPI(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/api.md")
	require.NoError(t, err)
	c := newCluster(t, testenv.DatabaseURL(t), testenv.RedisURL(t))
	c.px("directory", "apply", "-f", "../../samples/directory.yaml")
	px := c.start("web")[0]
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```(?:\n\n```text\n(.*?)```)?").FindAllSubmatch(page, -1)
	require.Greater(t, len(blocks), 9)
	var script strings.Builder
	script.WriteString("set -eu\n")
	for _, b := range blocks {
		script.WriteString(strings.ReplaceAll(string(b[1]), "http://127.0.0.1:8081", px.url) + "echo '=== end of block'\n")
	}
	answers := strings.Split(c.shell(script.String()), "=== end of block\n")
	require.Len(t, answers, len(blocks)+1)
	for i, b := range blocks {
		for line := range strings.Lines(string(b[2])) {
			assert.Contains(t, answers[i], strings.TrimSpace(line), "of\n%s", b[1])
		}
	}
}

// shell runs a script with px at hand, in a folder of its own, and returns what it
// printed.
func (c *cluster) shell(script string) string {
	c.t.Helper()
	path, err := binary()
	require.NoError(c.t, err)
	ctx, cancel := context.WithTimeout(c.t.Context(), commandWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir = c.t.TempDir()
	cmd.Env = append(append(plainEnv(), c.env...), "PATH="+filepath.Dir(path)+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	require.NoError(c.t, err, "%s", out)
	return string(out)
}

// TestBothServersDescribeAllOfIt asks px producer and px web for the same
// description, and each for what the other serves.
func TestBothServersDescribeAllOfIt(t *testing.T) {
	t.Parallel()
	c := newCluster(t, testenv.DatabaseURL(t), testenv.RedisURL(t))
	c.px("directory", "apply", "-f", "../../samples/directory.yaml")
	ps := c.start("producer", "web")
	for _, path := range []string{"/openapi.json", "/openapi.yaml", "/openapi-3.0.json", "/docs"} {
		intake, actions := get(t, ps[0].url+path), get(t, ps[1].url+path)
		require.Equal(t, http.StatusOK, intake.code, path)
		assert.Equal(t, intake.body, actions.body, path)
		for _, part := range []string{"/v1/feedback/{id}", "/v1/actions/{id}/approve"} {
			assert.Contains(t, intake.body, part, path)
		}
	}
	for i, path := range []string{"/v1/actions", "/v1/feedback"} {
		foreign := get(t, ps[i].url+path)
		assert.Equal(t, http.StatusNotFound, foreign.code)
		assert.Contains(t, foreign.body, []string{"px web serves it", "px producer serves it"}[i])
	}
}
