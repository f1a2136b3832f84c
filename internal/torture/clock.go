package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockStep is the fault by which a process's wall clock is wrong for a while.
const clockStep = "clock step"

const (
	stepBy    = 10 * time.Minute
	clockFile = "TORTURE_CLOCK" // the variable that names the file with a process's step, in seconds
	lookWait  = 200 * time.Millisecond
)

// The sources by which px is built so that its wall clock can be set: the one
// function by which a Go program asks for the time adds a step, and leaves the
// monotonic reading as it is, as a clock that is set does.
const (
	nowReads   = "\tsec, nsec, mono := runtimeNow()\n"
	nowAdds    = nowReads + "\tsec += TortureStep.Load()\n"
	stepSource = "package time\n\nimport \"sync/atomic\"\n\n// TortureStep is added to the wall clock, in seconds.\nvar TortureStep atomic.Int64\n"
	lookSource = `package main

import (
	"os"
	"strconv"
	"time"
)

func init() {
	look := func() {
		b, _ := os.ReadFile(os.Getenv("` + clockFile + `"))
		n, _ := strconv.ParseInt(string(b), 10, 64)
		time.TortureStep.Store(n)
	}
	look()
	go func() {
		for {
			time.Sleep(20 * time.Millisecond)
			look()
		}
	}()
}
`
)

// steppedPX builds px with a wall clock that can be set.
func steppedPX(ctx context.Context, c *cluster, cfg config) error {
	if cfg.px != "" {
		return errors.New("it builds a px of its own, and -px is given")
	}
	pkg, err := timePackage(ctx, cfg.tree)
	if err != nil {
		return err
	}
	now, err := os.ReadFile(filepath.Join(pkg, "time.go"))
	if err != nil {
		return err
	}
	if strings.Count(string(now), nowReads) != 1 {
		return errors.New("this Go's time.Now reads the clock in a way of its own")
	}
	tree, err := filepath.Abs(cfg.tree)
	if err != nil {
		return err
	}
	list, err := overlay(c.dir, map[string]string{
		filepath.Join(pkg, "time.go"):           strings.Replace(string(now), nowReads, nowAdds, 1),
		filepath.Join(pkg, "torture.go"):        stepSource,
		filepath.Join(tree, "torture_clock.go"): lookSource,
	})
	if err != nil {
		return err
	}
	c.px, err = buildPX(ctx, cfg.tree, c.dir, "-overlay", list)
	return err
}

// timePackage is the folder with the source of package time, of the Go that builds the tree.
func timePackage(ctx context.Context, tree string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOROOT")
	cmd.Dir, cmd.Env = tree, append(os.Environ(), "GOFLAGS=") // a test run's own -json would be meant for this, too
	root, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("ask for GOROOT: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(root)), "src", "time"), nil
}

// overlay writes into a folder sources that the compiler is to take at other paths, and
// the list of them, which it returns.
func overlay(dir string, sources map[string]string) (string, error) {
	replace := map[string]string{}
	for path, source := range sources {
		replace[path] = filepath.Join(dir, fmt.Sprintf("overlay%d.go", len(replace)))
		if err := os.WriteFile(replace[path], []byte(source), 0o600); err != nil {
			return "", err
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, list, 0o600)
}

// clockOf is the file with the step of a process's clock.
func (c *cluster) clockOf(name string) string {
	return filepath.Join(c.dir, "clock "+name)
}

// setClock steps a process's wall clock by so much from the true one.
func (c *cluster) setClock(name string, by time.Duration) error {
	fresh := c.clockOf(name) + ".new"
	if err := os.WriteFile(fresh, []byte(strconv.Itoa(int(by.Seconds()))), 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, c.clockOf(name)) // in one, as it is read all the time
}

// stepClock sets the clock of one worker or scheduler ahead or back, and right again
// after some seconds. Leases of tasks go by the workers' own clocks and are looked
// at when a worker starts, so one starts meanwhile that takes those of living ones
// for run out: its clock is ahead, or theirs back. What is in a worker's hands then is
// held there by stopping it for as long.
func stepClock(ctx context.Context, c *cluster, r *rand.Rand) error {
	names := []string{"worker", "worker 2", "scheduler", "scheduler 2"}
	i := r.IntN(len(names))
	wrong, other := names[i], names[i^1]
	by := stepBy
	if r.IntN(2) == 0 {
		by = -by
	}
	if err := c.setClock(wrong, by); err != nil {
		return err
	}
	defer func() { _ = c.setClock(wrong, 0) }()
	sleep(ctx, lookWait+time.Duration(r.IntN(2000))*time.Millisecond)
	starts, held := wrong, other
	if by < 0 {
		starts, held = other, wrong
	}
	c.process(held).signal(syscall.SIGSTOP)
	c.process(starts).signal(syscall.SIGKILL)
	sleep(ctx, 2*time.Second)
	c.process(held).signal(syscall.SIGCONT)
	sleep(ctx, time.Duration(2+r.IntN(4))*time.Second)
	return nil
}
