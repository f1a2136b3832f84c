package e2e

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
)

// devSettings let several px dev run beside each other.
func devSettings() []string {
	return append(plainEnv(), "PX_PRODUCER_ADDR=127.0.0.1:0", "PX_WEB_ADDR=127.0.0.1:0", "PX_OPS_ADDR=127.0.0.1:0", "PX_LOG_FORMAT=json")
}

// TestDevNeedsNothingAndLeavesNothing runs px dev without any URL, uses it, and
// ends it in two ways.
func TestDevNeedsNothingAndLeavesNothing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  func(*testing.T, *process)
	}{
		{"asked to end", func(t *testing.T, p *process) { stop(t, p) }},
		{"killed", func(_ *testing.T, p *process) { p.kill() }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &cluster{t: t}
			p := spawn(t, devSettings(), "dev")
			c.procs = append(c.procs, p)
			t.Cleanup(c.end)
			p.ops = "http://" + c.said(p, "health and metrics served", "addr")
			p.url = "http://" + c.said(p, "intake open", "addr")
			pages := c.said(p, "pages open", "url")
			folders := []string{serverFolder(t, exported(t, p, "PX_DATABASE_URL")), serverFolder(t, exported(t, p, "PX_REDIS_URL"))}
			c.becomes(p, http.StatusOK, "ready")
			assert.Equal(t, "file://"+filepath.Join(folders[0], "files"), exported(t, p, "PX_FILES_URL"), "files go with the database")

			e := complaint("1", model.SeverityHigh, map[string]any{"hospital": "RUH"})
			a := post(t, p, exported(t, p, "PX_API_KEY"), toJSON(t, e))
			require.Equal(t, http.StatusAccepted, a.code, a.body)
			until(t, 30*time.Second, "the action is on its page", func() (bool, string) {
				list := get(t, pages)
				return list.code == http.StatusOK && strings.Contains(list.body, "RUH-"), list.body
			})
			for _, f := range folders {
				require.DirExists(t, f)
				require.NotEmpty(t, processesOf(f), "nothing runs in %s", f)
			}

			tt.end(t, p)
			for _, f := range folders {
				until(t, 30*time.Second, "nothing is left of "+f, func() (bool, string) {
					_, err := os.Stat(f)
					left := processesOf(f)
					return os.IsNotExist(err) && len(left) == 0, strings.Join(left, "\n")
				})
			}
		})
	}
}

// exported is the value of a variable that is printed to be pasted.
func exported(t *testing.T, p *process, name string) string {
	t.Helper()
	for _, l := range p.log.all() {
		if rest, ok := strings.CutPrefix(l, "export "+name+"='"); ok {
			return strings.TrimSuffix(rest, "'")
		}
	}
	require.Fail(t, "not printed: "+name)
	return ""
}

// serverFolder is where a private server keeps its socket.
func serverFolder(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	if host := u.Query().Get("host"); host != "" {
		return host
	}
	return filepath.Dir(u.Path)
}

// processesOf lists the command lines of processes that name a folder.
func processesOf(folder string) (found []string) {
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		b, err := os.ReadFile(name)
		line := strings.ReplaceAll(string(b), "\x00", " ")
		if err == nil && strings.Contains(line, folder) {
			found = append(found, line)
		}
	}
	return found
}

func TestProcessesRefuseToStartWithoutTheirServers(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"producer", "worker", "scheduler", "web"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runPX(t, []string{"PX_SUBJECT_KEY=sixteen bytes or more"}, name)
			assert.Equal(t, 2, r.code)
			assert.Contains(t, r.err, "PX_DATABASE_URL")
			assert.Contains(t, r.err, "PX_REDIS_URL")
		})
	}
}

func TestMissingSettingsAreToldAllAtOnce(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"producer"}, {"feedback", "replay"}} {
		r := runPX(t, nil, args...)
		assert.Equal(t, 2, r.code)
		for _, name := range []string{"PX_DATABASE_URL: needed", "PX_REDIS_URL: needed", "PX_SUBJECT_KEY: needed"} {
			assert.Contains(t, r.err, name, "%v", args)
		}
	}
}

func TestAKeyNamesItsSource(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"", "  "} {
		r := runPX(t, []string{"PX_DATABASE_URL=postgres://nobody@127.0.0.1:1/none"}, "key", "create", "--source", source)
		assert.Equal(t, 2, r.code)
		assert.Contains(t, r.err, "--source: the name")
	}
}

func TestFaultsOfSettingsAreToldAllAtOnce(t *testing.T) {
	t.Parallel()
	r := runPX(t, []string{"PX_CONCURRENCY_INTAKE=abc", "PX_LOG_LEVEL=loud", "PX_TYPO=1"}, "worker")
	assert.Equal(t, 2, r.code)
	told := regexp.MustCompile(`(?m)^(?:px: )?(PX_\w+): (.+)$`).FindAllStringSubmatch(r.err, -1)
	require.Len(t, told, 3, r.err)
	for i, name := range []string{"PX_CONCURRENCY_INTAKE", "PX_LOG_LEVEL", "PX_TYPO"} {
		assert.Equal(t, name, told[i][1])
		assert.NotEmpty(t, told[i][2])
	}
	assert.NotContains(t, r.err, "loud", "a value may be a secret")
}

func TestHelpDocumentsEverySetting(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile(filepath.Join("..", "..", "config.go"))
	require.NoError(t, err)
	settings := regexp.MustCompile(`env:"(PX_\w+)"`).FindAllStringSubmatch(string(src), -1)
	require.Greater(t, len(settings), 20)
	help := runPX(t, nil, "help")
	assert.Zero(t, help.code)
	for _, s := range settings {
		assert.Contains(t, help.out, s[1])
	}
	for _, command := range []string{"migrate", "producer", "worker", "scheduler", "web", "dev", "demo", "verify"} {
		assert.Contains(t, help.out, command)
	}
}

func TestVersionIsTold(t *testing.T) {
	t.Parallel()
	r := runPX(t, nil, "version")
	assert.Zero(t, r.code)
	assert.Regexp(t, `^px \S+ go1\.\d+`, r.out)
}
