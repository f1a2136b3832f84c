package localenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	// connections for a throw-away server are many because all tests of a run
	// share one server.
	connectionsThrowAway = 300
	connectionsKept      = 100
)

// startPostgres starts one whose cluster a tool makes: initdb, or pg_basebackup
// for a replica.
func (o Options) startPostgres(ctx context.Context, prog program, tool string, args ...string) (*Server, error) {
	p, err := o.newPlace(ctx, "pg")
	if err != nil {
		return nil, fmt.Errorf("private PostgreSQL: %w", err)
	}
	// The cluster is a folder in the data folder, so that it can be made under
	// another name and be renamed: whatever has the name is whole.
	data := filepath.Join(p.data, "cluster")
	return startServer(ctx, p, spec{
		name:    "PostgreSQL",
		url:     "postgres://px@/postgres?host=" + p.run,
		command: func() *exec.Cmd { return prog.command("postgres", postgresArgs(p, data, o.Postgres)...) },
		prepare: func(ctx context.Context) error {
			if err := makeCluster(ctx, prog, p, data, tool, args...); err != nil {
				return err
			}
			return clearStalePID(ctx, data)
		},
		ready: func(_ context.Context, pid int) bool { return postmasterReady(data, pid) },
		promote: func(ctx context.Context) error {
			return p.runTool(ctx, prog, "pg_ctl", "promote", "-w", "-D", data)
		},
		stop:  syscall.SIGINT,  // "fast": sessions are cut, then a checkpoint
		crash: syscall.SIGQUIT, // "immediate": the journal is replayed at the next start
	}, o.Log)
}

func postgresArgs(p *place, data string, further []string) []string {
	zone := "UTC"
	if _, err := os.Stat("/usr/share/zoneinfo/UTC"); err != nil {
		zone = "GMT" // the one zone PostgreSQL knows without zone files
	}
	settings := []string{
		"listen_addresses=",
		"unix_socket_permissions=0700",
		"timezone=" + zone, "log_timezone=" + zone,
		"shared_buffers=32MB",
		"huge_pages=off",
		"jit=off", // its library is not fetched
		// In files of the cluster, not in /dev/shm, where a kill would leave them.
		"dynamic_shared_memory_type=mmap",
		// A failed statement holds the values of a row: keep them out of the log.
		"log_min_error_statement=panic", "log_error_verbosity=terse",
	}
	if p.kept {
		settings = append(settings, "max_connections="+strconv.Itoa(connectionsKept))
	} else {
		settings = append(settings, "max_connections="+strconv.Itoa(connectionsThrowAway),
			"fsync=off", "synchronous_commit=off", "full_page_writes=off")
	}
	args := []string{"-D", data, "-k", p.run}
	for _, s := range append(settings, further...) { // the last one of a name counts
		args = append(args, "-c", s)
	}
	return args
}

// initdb is the tool that makes a new cluster, and its arguments.
func (o Options) initdb() []string {
	args := []string{"initdb", "-U", "px", "-A", "trust", "-E", "UTF8", "--locale=C"}
	if o.DataDir == "" {
		args = append(args, "--no-sync")
	}
	return args
}

// makeCluster makes the cluster where there is none.
func makeCluster(ctx context.Context, prog program, p *place, data, tool string, args ...string) error {
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err == nil {
		return nil
	}
	fresh := data + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("remove a cluster that was never finished: %w", err)
	}
	if err := p.runTool(ctx, prog, tool, append([]string{"-D", fresh}, args...)...); err != nil {
		return err
	}
	if err := os.Rename(fresh, data); err != nil {
		return fmt.Errorf("%s: %w", tool, err)
	}
	return nil
}

// runTool runs one of PostgreSQL's tools as the place's account.
func (p *place) runTool(ctx context.Context, prog program, name string, args ...string) error {
	cmd := prog.command(name, args...)
	p.account.apply(cmd)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	proc, err := startProcess(cmd, syscall.SIGKILL, func(error) {})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	select {
	case <-proc.done:
	case <-ctx.Done():
		proc.end(syscall.SIGTERM, stopWait)
		return fmt.Errorf("%s: %w", name, ctx.Err())
	}
	if !cmd.ProcessState.Success() {
		return fmt.Errorf("%s: %w: %s", name, proc.err, strings.TrimSpace(out.String()))
	}
	return nil
}

// postmasterReady reports whether the server with this process id accepts
// connections: the eighth line of its lock file says so.
func postmasterReady(data string, pid int) bool {
	b, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(string(b), "\n")
	return len(lines) > 7 && strings.TrimSpace(lines[0]) == strconv.Itoa(pid) && strings.TrimSpace(lines[7]) == "ready"
}

// clearStalePID removes the lock file of a server that was killed. PostgreSQL
// itself refuses to start when the process id in it is in use, be it by a zombie
// or by another program: likely in a container, where ids are small. Our lock on
// the data folder and the look at the process list say for sure.
func clearStalePID(ctx context.Context, data string) error {
	path := filepath.Join(data, "postmaster.pid")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(procs) == 0 {
		return nil // no such list on this system: PostgreSQL decides
	}
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	err = poll(ctx, 10*pollEvery, func() (bool, error) { return !anyProcessIn(data), nil })
	if err != nil {
		return fmt.Errorf("a PostgreSQL is still running on %s: %w", data, errors.Join(ErrInUse, err))
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the lock file of a killed server: %w", err)
	}
	return nil
}

// anyProcessIn reports whether a process has dir as its working folder, as each
// process of a PostgreSQL has its cluster. Zombies have none.
func anyProcessIn(dir string) bool {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		return false
	}
	for _, l := range links {
		if cwd, err := os.Readlink(l); err == nil && cwd == real {
			return true
		}
	}
	return false
}

// keptMajor returns the major version of the kept cluster, 0 when there is none.
func (o Options) keptMajor() (int, error) {
	if o.DataDir == "" {
		return 0, nil
	}
	b, err := os.ReadFile(filepath.Join(o.DataDir, "pg", "cluster", "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("data folder: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, fmt.Errorf("data folder %s: PG_VERSION: %w", o.DataDir, err)
	}
	return major, nil
}
