package localenv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Freeze stops the server and its children in the midst of what they do, as a
// host that hangs does: the kernel still takes connections, and nobody answers.
// Thaw lets them go on; so do Stop and Kill, which end it. Of a server with
// children (PostgreSQL), only where there is a /proc.
func (s *Server) Freeze() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signal(syscall.SIGSTOP)
}

// Thaw lets a frozen server go on. One that is not frozen is left alone.
func (s *Server) Thaw() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signal(syscall.SIGCONT)
}

// signal signals the process, which then makes no more children, and then those
// it has. The caller holds the lock.
func (s *Server) signal(sig syscall.Signal) error {
	if s.proc == nil || s.proc.ended() {
		return nil
	}
	err := syscall.Kill(s.proc.pid, sig)
	for _, pid := range children(s.proc.pid) {
		if cerr := syscall.Kill(pid, sig); cerr != nil && !errors.Is(cerr, syscall.ESRCH) { // it has ended meanwhile
			err = errors.Join(err, cerr)
		}
	}
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %s to %s: %w", sig, s.spec.name, err)
	}
	return nil
}

// children lists the processes whose parent is the one with this id.
func children(parent int) (found []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		b, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		// After the name, which is in brackets and may hold anything: state and parent.
		_, rest, _ := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ")
		f := strings.Fields(rest)
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
		if err == nil && len(f) > 1 && f[1] == strconv.Itoa(parent) {
			found = append(found, pid)
		}
	}
	return found
}
