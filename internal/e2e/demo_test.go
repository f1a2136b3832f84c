package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// demoFor leaves the last complaints time to climb the whole ladder, also on a
// busy machine.
const demoFor = 50 * time.Second

// TestDemoShowsTheWholeStory runs px demo without any URL, as a first user does,
// and reads what it tells a program.
func TestDemoShowsTheWholeStory(t *testing.T) {
	t.Parallel()
	p := newProcess(t, devSettings(), "demo", "--for", demoFor.String(), "--json")
	out := &lines{}
	p.cmd.Stdout = out
	p.start(t)
	t.Cleanup(p.kill)
	var folders []string
	until(t, startWait, "the private servers are up", func() (bool, string) {
		folders = foldersOf(p.cmd.Process.Pid)
		return len(out.all()) > 0 || p.ended(), fmt.Sprint(folders)
	})
	require.NotEmpty(t, folders, "%s", p.log.all())
	for _, f := range folders {
		require.NotEmpty(t, processesOf(f), "nothing runs in %s", f)
	}
	until(t, demoFor+commandWait, "the demo is over", func() (bool, string) { return p.ended(), fmt.Sprint(len(out.all()), " lines") })
	require.Zero(t, p.cmd.ProcessState.ExitCode(), "%s", p.log.all())
	assert.Empty(t, p.log.all(), "a demo has nothing to complain of")
	checkDemo(t, out.all())
	for _, f := range folders {
		until(t, 30*time.Second, "nothing is left of "+f, func() (bool, string) {
			_, err := os.Stat(f)
			left := processesOf(f)
			return os.IsNotExist(err) && len(left) == 0, strings.Join(left, "\n")
		})
	}
}

// checkDemo reads the stream: events in their order, last the summary.
func checkDemo(t *testing.T, stream []string) {
	t.Helper()
	told := map[string]int{}
	var last time.Time
	for i, line := range stream[:len(stream)-1] {
		var e struct {
			At    time.Time `json:"at"`
			Event string    `json:"event"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &e), "line %d: %s", i+1, line)
		require.NotEmpty(t, e.Event, "line %d: %s", i+1, line)
		told[e.Event]++
		if e.At.After(last) {
			last = e.At
		}
	}
	assert.False(t, last.IsZero())
	var end struct {
		Summary struct {
			Feedback   int            `json:"feedback"`
			Ignored    int            `json:"ignored"`
			Merged     int            `json:"merged"`
			Lost       int            `json:"lost"`
			Actions    int            `json:"actions"`
			Reminders  int            `json:"reminders"`
			Overdue    int            `json:"overdue"`
			ByLevel    map[string]int `json:"escalations_by_level"`
			Messages   int            `json:"messages"`
			Closed     int            `json:"closed"`
			Violations *int           `json:"violations"`
		} `json:"summary"`
	}
	summary := stream[len(stream)-1]
	require.NoError(t, json.Unmarshal([]byte(summary), &end), summary)
	s := end.Summary
	for name, n := range map[string]int{
		"feedback": s.Feedback, "ignored": s.Ignored, "merged": s.Merged, "actions": s.Actions, "reminders": s.Reminders, "overdue": s.Overdue,
		"level 1": s.ByLevel["1"], "level 2": s.ByLevel["2"], "level 3": s.ByLevel["3"], "messages": s.Messages, "closed": s.Closed,
	} {
		assert.Positive(t, n, "%s: %s", name, summary)
	}
	require.NotNil(t, s.Violations, summary)
	assert.Zero(t, *s.Violations, summary)
	assert.Zero(t, s.Lost, summary)
	assert.Equal(t, s.Feedback, s.Ignored+s.Merged+s.Actions, "each feedback has its decision: %s", summary)
	assert.Equal(t, []int{s.Actions, s.Ignored, s.Merged, s.Reminders, s.Overdue},
		[]int{told["created"], told["ignored"], told["merged"], told["reminder"], told["overdue"]}, "the events add up to the summary")
	t.Log(summary)
}

// foldersOf are the folders of a process's private servers: their watchers, its
// children, name them last.
func foldersOf(pid int) (folders []string) {
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range names {
		b, err := os.ReadFile(name)
		args := strings.Split(strings.TrimRight(string(b), "\x00"), "\x00")
		if err != nil || len(args) < 2 || args[len(args)-2] != "px-watcher" {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(filepath.Dir(name), "stat"))
		var id, parent int
		var comm, state string
		if _, serr := fmt.Sscan(string(stat), &id, &comm, &state, &parent); err == nil && serr == nil && parent == pid {
			folders = append(folders, args[len(args)-1])
		}
	}
	return folders
}
