//go:build unix && !linux

package localenv

import (
	"os/exec"
	"syscall"
)

// DieWithParent makes the kernel send sig to cmd's process when the thread that
// starts it ends. Without effect on systems other than Linux: there the watcher
// alone ends a dead parent's servers.
func DieWithParent(*exec.Cmd, syscall.Signal) {}
