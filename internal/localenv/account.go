package localenv

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// account is the user that the servers run as.
type account struct {
	uid, gid uint32
	name     string
	switched bool // not the user that this process runs as
}

// serverAccount picks the account: this process's own, but never root, which
// PostgreSQL refuses. Data that exists already is served by its owner.
func serverAccount(data string) (account, error) {
	if os.Geteuid() != 0 {
		return account{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}, nil
	}
	if st, err := os.Stat(data); err == nil {
		if sys, ok := st.Sys().(*syscall.Stat_t); ok && sys.Uid != 0 {
			return account{uid: sys.Uid, gid: sys.Gid, name: fmt.Sprintf("uid %d", sys.Uid), switched: true}, nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return account{uid: uint32(uid), gid: uint32(gid), name: "user " + name, switched: true}, nil
		}
	}
	return account{}, fmt.Errorf("servers cannot run as root, and this machine has neither user postgres nor nobody: %w", ErrUnavailable)
}

// apply makes cmd run as the account, in a process group of its own: a Ctrl-C
// at the terminal is for the program, which ends its servers when it is done.
func (a account) apply(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if a.switched {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
}

// own gives the file or folder itself, not what is in it, to the account.
func (a account) own(path string) error {
	if !a.switched {
		return nil
	}
	return os.Lchown(path, int(a.uid), int(a.gid))
}

// checkReach returns an error that names the first folder on the way to dir,
// dir included, that the account may not enter.
func (a account) checkReach(dir string) error {
	if !a.switched {
		return nil
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return fmt.Errorf("folder %s: %w", dir, err)
	}
	parts := strings.Split(real, "/")
	for i := range parts {
		p := "/" + filepath.Join(parts[:i+1]...)
		st, err := os.Stat(p)
		if err != nil {
			return fmt.Errorf("folder %s: %w", dir, err)
		}
		if sys, ok := st.Sys().(*syscall.Stat_t); ok && !a.mayEnter(st.Mode().Perm(), sys.Uid, sys.Gid) {
			return fmt.Errorf("folder %s: the servers run as %s, who may not enter %s (mode %04o): choose another folder, or chmod o+x %s",
				dir, a.name, p, st.Mode().Perm(), p)
		}
	}
	return nil
}

func (a account) mayEnter(mode os.FileMode, uid, gid uint32) bool {
	switch {
	case uid == a.uid:
		return mode&0o100 != 0
	case gid == a.gid:
		return mode&0o010 != 0
	}
	return mode&0o001 != 0
}
