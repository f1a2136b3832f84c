package localenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

const (
	// startWait is how long a server may take to accept connections; a kept one
	// may have to replay its journal first.
	startWait = time.Minute

	// stopWait is how long a server may take to end in order.
	stopWait = 20 * time.Second

	logTail = 2000 // bytes of a server's log to show when it does not start
)

// spec is what sets one kind of server apart.
type spec struct {
	name    string
	url     string
	command func() *exec.Cmd                        // a new one for each start
	prepare func(ctx context.Context) error         // before each start; may be nil
	ready   func(ctx context.Context, pid int) bool // accepts connections
	promote func(ctx context.Context) error         // nil: it cannot be a replica
	stop    syscall.Signal                          // ends it in order
	crash   syscall.Signal                          // ends it at once, as a crash would
}

// Server is one private server. Tests use it to take the server away and bring
// it back under the same URL.
type Server struct {
	spec    spec
	place   *place
	log     zerolog.Logger
	watcher *watcher

	mu     sync.Mutex // one start or end at a time
	proc   *process   // nil while stopped
	closed bool
}

// startServer takes over the place, also when it fails.
func startServer(ctx context.Context, p *place, sp spec, log zerolog.Logger) (*Server, error) {
	w, err := startWatcher(p)
	if err != nil {
		p.unlock()
		return nil, errors.Join(err, os.RemoveAll(p.run))
	}
	s := &Server{spec: sp, place: p, log: log, watcher: w}
	if err := s.Start(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// Start starts a stopped or killed server again, with its data and under its
// old URL, and returns when it accepts connections. ctx bounds the start only.
// A server that runs is left alone.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("start %s: already closed", s.spec.name)
	}
	if s.proc != nil && !s.proc.ended() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	if s.spec.prepare != nil {
		if err := s.spec.prepare(ctx); err != nil {
			return fmt.Errorf("start %s: %w", s.spec.name, err)
		}
	}
	if err := s.launch(); err != nil {
		return fmt.Errorf("start %s: %w", s.spec.name, err)
	}
	err := poll(ctx, pollEvery, func() (bool, error) {
		if s.proc.ended() {
			return false, fmt.Errorf("it ended at once (%w); its log ends with: %s", s.proc.err, s.logEnd())
		}
		return s.spec.ready(ctx, s.proc.pid), nil
	})
	if err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", s.spec.name, err), s.end(s.spec.crash))
	}
	return nil
}

// Stop ends the server in order, as an administrator would, and returns when
// it has ended. Its data stays. A server that is stopped is left alone.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end(s.spec.stop)
}

// Kill ends the server at once, as a crash would, and returns when it has
// ended. What it had not yet written is lost. A server that is stopped is left
// alone.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end(s.spec.crash)
}

// close ends the server and removes its run folder, and the one around it when
// it was the last.
func (s *Server) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	sig := s.spec.stop
	if !s.place.kept {
		sig = s.spec.crash // nothing is worth a final checkpoint
	}
	err := errors.Join(s.end(sig), s.watcher.close())
	s.place.unlock()
	removeBase(filepath.Dir(s.place.run))
	return err
}

// launch starts the process. The caller holds the lock.
func (s *Server) launch() error {
	out, err := os.OpenFile(s.place.log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	cmd := s.spec.command()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.ExtraFiles = []*os.File{s.watcher.alive}
	s.place.account.apply(cmd)
	s.proc, err = startProcess(cmd, s.dieSignal(), func(err error) {
		s.log.Error().Err(err).Str("server", s.spec.name).Msg("private server ended by itself")
	})
	if err != nil {
		return err
	}
	return s.watcher.guard(s.proc.pid, s.dieSignal())
}

// dieSignal is what the server gets when this process dies.
func (s *Server) dieSignal() syscall.Signal {
	if s.place.kept {
		return s.spec.stop
	}
	return s.spec.crash
}

// end ends the process and waits for it. The caller holds the lock.
func (s *Server) end(sig syscall.Signal) error {
	if s.proc == nil {
		return nil
	}
	if err := s.signal(syscall.SIGCONT); err != nil { // it may be frozen
		return err
	}
	if !s.proc.end(sig, stopWait) {
		s.log.Warn().Str("server", s.spec.name).Msg("private server did not end in time and was killed")
	}
	s.proc = nil
	return s.watcher.release()
}

func (s *Server) logEnd() string {
	b, err := os.ReadFile(s.place.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(bytes.ToValidUTF8(b[max(0, len(b)-logTail):], nil)))
}

// process is a child that dies with this process.
type process struct {
	cmd   *exec.Cmd
	pid   int
	asked chan struct{} // closed when its end is wanted
	done  chan struct{} // closed when it has ended; err may then be read
	err   error
}

// startProcess starts cmd; unasked hears of an end that nobody asked for.
func startProcess(cmd *exec.Cmd, die syscall.Signal, unasked func(error)) (*process, error) {
	p := &process{cmd: cmd, asked: make(chan struct{}), done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(die, started, unasked)
	if err := <-started; err != nil {
		return nil, err
	}
	p.pid = cmd.Process.Pid
	return p, nil
}

// run starts the command and waits for it on one thread that does nothing else:
// to the kernel, the parent of a process is a thread, and its end is what the
// child dies of.
func (p *process) run(die syscall.Signal, started chan<- error, unasked func(error)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	DieWithParent(p.cmd, die)
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	if p.err == nil {
		p.err = errors.New("exit status 0")
	}
	select {
	case <-p.asked:
	default:
		unasked(p.err)
	}
	close(p.done)
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// end signals the process and waits for its end; false when it had to be killed.
func (p *process) end(sig syscall.Signal, wait time.Duration) bool {
	if p.ended() {
		return true
	}
	close(p.asked)
	_ = p.cmd.Process.Signal(sig) // it may have ended just now
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	return false
}
