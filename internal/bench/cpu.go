package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// usage is the CPU time spent so far. Where others share the machine it tells
// more than the clock on the wall does.
type usage struct{ program, postgres, redis time.Duration }

func (u usage) minus(o usage) usage {
	return usage{u.program - o.program, u.postgres - o.postgres, u.redis - o.redis}
}

func (u usage) sum() time.Duration { return u.program + u.postgres + u.redis }

// cpu reads the usage of this process and of both servers. A PostgreSQL that
// cannot be looked at (another machine, no /proc) counts as zero.
func (s *servers) cpu(ctx context.Context) (usage, error) {
	var u usage
	var self syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &self); err != nil {
		return u, fmt.Errorf("own CPU time: %w", err)
	}
	u.program = time.Duration(self.Utime.Nano() + self.Stime.Nano())
	info, err := s.watch.InfoMap(ctx, "cpu").Result()
	if err != nil {
		return u, fmt.Errorf("CPU time of Redis: %w", err)
	}
	for _, name := range []string{"used_cpu_sys", "used_cpu_user"} {
		seconds, err := strconv.ParseFloat(info["CPU"][name], 64)
		if err != nil {
			return u, fmt.Errorf("CPU time of Redis: %w", err)
		}
		u.redis += time.Duration(seconds * float64(time.Second))
	}
	var backend int
	if err := s.admin.DB().QueryRowContext(ctx, "SELECT pg_backend_pid()").Scan(&backend); err != nil {
		return u, fmt.Errorf("CPU time of PostgreSQL: %w", err)
	}
	u.postgres = treeCPU(backend)
	return u, nil
}

// treeCPU is the CPU time of the server that the backend is a child of: of the
// postmaster, of the children that it has seen end, and of those that run.
func treeCPU(backend int) time.Duration {
	own, ok := readStat(filepath.Join("/proc", strconv.Itoa(backend)))
	if !ok {
		return 0
	}
	master, ok := readStat(filepath.Join("/proc", own.parent))
	if !ok || !strings.Contains(master.name, "postgres") {
		return 0
	}
	sum := master.own + master.ended
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0
	}
	for _, d := range dirs {
		if st, ok := readStat(d); ok && st.parent == own.parent {
			sum += st.own
		}
	}
	return sum
}

// stat is what /proc tells of a process.
type stat struct {
	name, parent string
	own, ended   time.Duration // ended: of children that were waited for
}

func readStat(dir string) (stat, bool) {
	b, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return stat{}, false
	}
	// The name is in brackets and may hold anything.
	head, rest, ok := strings.Cut(string(b), "(")
	end := strings.LastIndex(rest, ")")
	if !ok || head == "" || end < 0 {
		return stat{}, false
	}
	fields := strings.Fields(rest[end+1:])
	if len(fields) < 15 {
		return stat{}, false
	}
	const tick = 10 * time.Millisecond // Linux tells it in hundredths of a second, whatever its own
	ticks := func(i int) time.Duration {
		n, _ := strconv.ParseInt(fields[i], 10, 64) // a count; 0 if it is none
		return time.Duration(n) * tick
	}
	return stat{name: rest[:end], parent: fields[1], own: ticks(11) + ticks(12), ended: ticks(13) + ticks(14)}, true
}
