package localenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// watchScript outlives this process. It learns of the process's end by the end
// of file on descriptor 3, ends the server (which the kernel has done already
// where it can), learns of the end of the server and of all its children by the
// end of file on descriptor 4, whose write end they inherited, and then removes
// the run folder. Pipes cannot be wrong about who is alive; process ids can.
const watchScript = `trap '' HUP INT QUIT TERM
last=
while read -r line; do last=$line; done <&3
if [ -n "$last" ]; then kill $last 2>/dev/null; kill -CONT "${last#* }" 2>/dev/null; fi
cat <&4 >/dev/null
rm -rf -- "$1"`

// watcher is the small process that cleans up after this one.
type watcher struct {
	cmd   *exec.Cmd
	tell  *os.File // write end of descriptor 3: held by this process alone
	alive *os.File // write end of descriptor 4: for the server to inherit
}

// startWatcher starts the watcher for the place; it holds the place's locks.
func startWatcher(p *place) (*watcher, error) {
	tellR, tell, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start watcher: %w", err)
	}
	defer func() { _ = tellR.Close() }()
	aliveR, alive, err := os.Pipe()
	if err != nil {
		_ = tell.Close()
		return nil, fmt.Errorf("start watcher: %w", err)
	}
	defer func() { _ = aliveR.Close() }()
	cmd := exec.Command("/bin/sh", "-c", watchScript, "px-watcher", p.run)
	cmd.Dir = "/"
	cmd.ExtraFiles = append([]*os.File{tellR, aliveR}, p.locks...)
	// A session of its own: neither Ctrl-C nor a closed terminal ends it. No
	// output: "go test" waits for whoever holds the test's output.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		_ = tell.Close()
		_ = alive.Close()
		return nil, fmt.Errorf("start watcher: %w", err)
	}
	return &watcher{cmd: cmd, tell: tell, alive: alive}, nil
}

// guard names the process to end, and how, when this one dies.
func (w *watcher) guard(pid int, sig syscall.Signal) error {
	if _, err := fmt.Fprintf(w.tell, "-%d %d\n", int(sig), pid); err != nil {
		return fmt.Errorf("tell watcher: %w", err)
	}
	return nil
}

// release says that there is no process to end.
func (w *watcher) release() error {
	if _, err := fmt.Fprintln(w.tell); err != nil {
		return fmt.Errorf("tell watcher: %w", err)
	}
	return nil
}

// close lets the watcher remove the run folder and waits until it has.
func (w *watcher) close() error {
	err := errors.Join(w.tell.Close(), w.alive.Close())
	if werr := w.cmd.Wait(); werr != nil {
		err = errors.Join(err, fmt.Errorf("watcher: %w", werr))
	}
	return err
}
