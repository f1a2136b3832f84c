// Command testenv starts one private PostgreSQL and one private Redis for a
// command and all that it starts, and ends them with it:
//
//	go run ./internal/cmd/testenv go test ./...
//
// The command finds them in TEST_DATABASE_URL and TEST_REDIS_URL. One of these
// that is set already is passed on as it is, and no server is started for it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/rs/zerolog"

	"github.com/pxactions/px/internal/localenv"
	"github.com/pxactions/px/internal/testenv/servers"
)

func main() {
	// The command is a child of this thread, and is told when it ends.
	runtime.LockOSThread()
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
	}
	os.Exit(code)
}

// run returns the command's exit code, 128 + n when signal n ended it, or 1 and
// an error when it could not be run.
func run(args []string) (code int, err error) {
	if len(args) == 0 {
		return 2, errors.New("usage: testenv COMMAND [ARGUMENT ...]")
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)

	env, err := startServers(signals)
	if err != nil {
		return 1, err
	}
	defer func() {
		if cerr := env.Close(); cerr != nil {
			err = errors.Join(err, cerr)
			code = max(code, 1)
		}
	}()

	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), servers.DatabaseVar+"="+env.DatabaseURL, servers.RedisVar+"="+env.RedisURL)
	localenv.DieWithParent(cmd, syscall.SIGTERM)
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for {
			select {
			case sig := <-signals:
				_ = cmd.Process.Signal(sig) // it may have ended just now
			case <-ended:
				return
			}
		}
	}()
	return exitCode(cmd.Wait())
}

// startServers starts what is needed; a signal gives up the start.
func startServers(signals <-chan os.Signal) (*servers.Servers, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	log := zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr, TimeFormat: "15:04:05"}).With().Timestamp().Logger()
	type result struct {
		env *servers.Servers
		err error
	}
	started := make(chan result, 1)
	go func() {
		env, err := servers.FromEnv(ctx, log)
		started <- result{env, err}
	}()
	select {
	case r := <-started:
		return r.env, r.err
	case sig := <-signals:
		cancel()
		if r := <-started; r.err == nil {
			return nil, errors.Join(fmt.Errorf("%s while starting", sig), r.env.Close())
		}
		return nil, fmt.Errorf("%s while starting", sig)
	}
}

func exitCode(err error) (int, error) {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		if err != nil {
			return 1, err
		}
		return 0, nil
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return exit.ExitCode(), nil
}
