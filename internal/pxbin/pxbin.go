// Package pxbin helps tools and tests that run px as processes of the operating
// system.
package pxbin

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// Build builds px from the source in a folder; path is the binary's. flags are more
// ones of go build.
func Build(ctx context.Context, tree, path string, flags ...string) error {
	cmd := exec.CommandContext(ctx, "go", slices.Concat([]string{"build", "-o", path}, flags, []string{"."})...)
	cmd.Dir = tree
	// A test run's own -json and -race are not meant for this command.
	own := slices.DeleteFunc(strings.Fields(os.Getenv("GOFLAGS")), func(f string) bool { return f == "-json" || f == "-race" })
	cmd.Env = append(os.Environ(), "GOFLAGS="+strings.Join(own, " "))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build px: %w\n%s", err, out)
	}
	return nil
}

// FreeAddr is an address of this machine that nobody listens at, for now.
func FreeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free address: %w", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}
