package main

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pxactions/px/internal/localenv"
	"github.com/pxactions/px/internal/pxbin"
)

const (
	// restartAfter is how long a process that has ended stays away.
	restartAfter = 300 * time.Millisecond
	commandWait  = 2 * time.Minute
	linesKept    = 60
)

// buildPX builds px from a tree into a folder.
func buildPX(ctx context.Context, tree, dir string, flags ...string) (string, error) {
	path := filepath.Join(dir, "px")
	return path, pxbin.Build(ctx, tree, path, flags...)
}

// process is one px process that is started again whenever it ends.
type process struct {
	name string // worker, worker 2, …
	args []string
	env  []string
	log  *lines

	mu      sync.Mutex
	path    string    // of the px that it is from its next start on
	cmd     *exec.Cmd // nil while it is away
	asked   bool      // its end is the harness's doing
	crashes int       // ends that nobody asked for
	done    chan struct{}
}

// keepUp runs the process, again and again, until ctx ends.
func (p *process) keepUp(ctx context.Context) {
	defer close(p.done)
	// To the kernel, the thread that starts a process is its parent, with which it is to die.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for ctx.Err() == nil {
		p.runOnce(ctx)
		sleep(ctx, restartAfter)
	}
}

func (p *process) runOnce(ctx context.Context) {
	p.mu.Lock()
	cmd := exec.Command(p.path, p.args...)
	p.mu.Unlock()
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = p.env, p.log, p.log, time.Second
	localenv.DieWithParent(cmd, syscall.SIGKILL)
	if err := cmd.Start(); err != nil {
		p.log.add("start: " + err.Error())
		return
	}
	p.mu.Lock()
	p.cmd, p.asked = cmd, false
	p.mu.Unlock()
	ended := context.AfterFunc(ctx, func() { p.signal(syscall.SIGKILL) })
	_ = cmd.Wait()
	ended()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd = nil
	if !p.asked && ctx.Err() == nil {
		p.crashes++
	}
}

// signal sends a signal to the process, if it runs.
func (p *process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return
	}
	p.asked = p.asked || sig == syscall.SIGKILL || sig == syscall.SIGTERM
	_ = p.cmd.Process.Signal(sig)
}

// lines keeps the last lines of a process, those that are faults, and counts.
type lines struct {
	mu     sync.Mutex
	part   []byte
	last   []string
	panics []string
	errors []string // at the level that a person should look at
	lost   int      // how often it said that Redis had lost its memory
	began  int      // how often it said that it had started
}

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	l.part = append(l.part, b...)
	var whole []string
	for {
		i := bytes.IndexByte(l.part, '\n')
		if i < 0 {
			break
		}
		whole = append(whole, string(l.part[:i]))
		l.part = l.part[i+1:]
	}
	l.mu.Unlock()
	for _, line := range whole {
		l.add(line)
	}
	return len(b), nil
}

func (l *lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last = append(l.last, line); len(l.last) > linesKept {
		l.last = l.last[1:]
	}
	if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") {
		l.panics = append(l.panics, line)
	}
	if strings.Contains(line, "redis has lost its memory") {
		l.lost++
	}
	if strings.Contains(line, `"level":"error"`) && len(l.errors) < linesKept {
		l.errors = append(l.errors, line)
	}
	if strings.Contains(line, "process started") {
		l.began++
	}
}

func (l *lines) starts() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.began
}

func (l *lines) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.last, "\n")
}

// sleep waits, and reports whether ctx still runs.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
