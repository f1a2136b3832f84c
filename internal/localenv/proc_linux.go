package localenv

import (
	"os/exec"
	"syscall"
)

// DieWithParent makes the kernel send sig to cmd's process when the thread that
// starts it ends. The caller locks its goroutine to its thread
// (runtime.LockOSThread) from before the start until the process has ended, as
// the Go runtime may end an idle thread at any time. Without effect on systems
// other than Linux.
func DieWithParent(cmd *exec.Cmd, sig syscall.Signal) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = sig
}
