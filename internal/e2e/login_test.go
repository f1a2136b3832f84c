package e2e

import (
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/internal/testenv"
)

// setPassword runs px user password with a line on its standard input.
func (c *cluster) setPassword(code, secret string) (exit int, said string) {
	c.t.Helper()
	path, err := binary()
	require.NoError(c.t, err)
	cmd := exec.CommandContext(c.t.Context(), path, "user", "password", code, "--stdin")
	cmd.Env = append(plainEnv(), c.env...)
	cmd.Stdin = strings.NewReader(secret + "\n")
	out, _ := cmd.CombinedOutput()
	return cmd.ProcessState.ExitCode(), string(out)
}

// TestPasswordsAreSetByCommand: set, used, changed and taken back, on the real
// program.
func TestPasswordsAreSetByCommand(t *testing.T) {
	t.Parallel()
	c := newCluster(t, testenv.DatabaseURL(t), testenv.RedisURL(t), "PX_WEB_LOGIN=always")
	c.furnish(directory(1, "", "log"), policy(hours{target: 48, reminder: 4, gap: 2}))
	for secret, want := range map[string]string{"short": "12 characters", "adam-adam-adam": "own code", "password1234": "tried first"} {
		code, said := c.setPassword("adam", secret)
		assert.Equal(t, 2, code, said)
		assert.Contains(t, said, want)
		assert.NotContains(t, said, secret)
	}
	code, said := c.setPassword("nobody", "seven moons over the river")
	assert.Equal(t, 2, code, said)
	r := c.command(nil, "user", "password", "adam")
	assert.Equal(t, 2, r.code)
	assert.Contains(t, r.err, "--stdin", "nothing is asked where there is no terminal")

	const secret = "seven moons over the river"
	code, said = c.setPassword("adam", secret)
	require.Zero(t, code, said)
	web := c.start("web")[0]
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	login := func() string {
		res, err := client.PostForm(web.url+"/login", url.Values{"code": {"adam"}, "password": {secret}})
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusSeeOther, res.StatusCode)
		cookie, _, _ := strings.Cut(res.Header.Get("Set-Cookie"), ";")
		return cookie
	}
	status := func(cookie string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, web.url+"/actions", nil)
		require.NoError(t, err)
		req.Header.Set("Cookie", cookie)
		res, err := client.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.StatusCode
	}
	cookie := login()
	assert.Equal(t, http.StatusOK, status(cookie))
	assert.Contains(t, c.px("user", "sessions", "adam"), "last seen")
	assert.Contains(t, c.px("user", "sessions", "adam", "--end"), "ended 1 session")
	assert.Equal(t, http.StatusSeeOther, status(cookie), "after the end of the sessions")
	assert.Contains(t, c.px("user", "sessions", "adam"), "no session")
	cookie = login()
	code, said = c.setPassword("adam", "another river under the moon")
	require.Zero(t, code, said)
	assert.Equal(t, http.StatusSeeOther, status(cookie), "after a change of the password")
}
