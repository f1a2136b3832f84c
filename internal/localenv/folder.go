package localenv

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// maxSocketPath is the longest path of a unix socket, less the final NUL, on
	// the system with the least room (macOS; Linux has 107).
	maxSocketPath = 103

	// lockWait is how long a data folder may stay locked by the watcher of a
	// process that was killed a moment ago and whose servers are shutting down.
	lockWait = 3 * time.Second

	pollEvery = 5 * time.Millisecond
)

// place is where one server lives: its run folder, which holds the socket and
// goes when the server goes, and its data folder, which is inside the run
// folder unless the data is kept. Locks on them are held by this process and by
// its watcher, so they are free only when the server has ended, too.
type place struct {
	run, data, log string
	kept           bool
	account        account
	locks          []*os.File
}

// newPlace makes the folders for the server kind ("pg", "redis").
func (o Options) newPlace(ctx context.Context, kind string) (p *place, err error) {
	p = &place{kept: o.DataDir != ""}
	defer func() {
		if err != nil {
			p.unlock()
		}
	}()
	name := kind + "-" + randomHex()
	if p.kept {
		p.data = filepath.Join(o.DataDir, kind)
		sum := sha256.Sum256([]byte(p.data))
		name = kind + "-" + hex.EncodeToString(sum[:4])
	}
	if p.account, err = serverAccount(p.data); err != nil {
		return p, err
	}
	if p.kept {
		if err := p.keep(ctx, o.DataDir); err != nil {
			return p, err
		}
	}
	if err := p.makeRun(o.TempDir, name); err != nil {
		return p, err
	}
	p.log = filepath.Join(p.run, "server.log")
	if p.kept {
		p.log = p.data + ".log"
		return p, nil
	}
	p.data = filepath.Join(p.run, "data")
	return p, p.mkdirOwned(p.data)
}

// keep makes and locks the kept data folder.
func (p *place) keep(ctx context.Context, dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make data folder: %w", err)
		}
		// Whatever the umask: the servers' account must be able to pass.
		if err := os.Chmod(dir, 0o755); err != nil {
			return fmt.Errorf("open data folder: %w", err)
		}
	}
	if err := p.account.checkReach(dir); err != nil {
		return err
	}
	if err := p.mkdirOwned(p.data); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	f, err := lockWaiting(ctx, p.data)
	if err != nil {
		return fmt.Errorf("%s: another process has its servers on it; stop that one, or choose another folder: %w", dir, errors.Join(ErrInUse, err))
	}
	p.locks = append(p.locks, f)
	return nil
}

// makeRun makes and locks the run folder, and removes those of processes that
// ended without a watcher to clean up (a machine switched off, say). Another
// process may remove the folder around it just then, as it was empty.
func (p *place) makeRun(base, name string) error {
	const most = 100
	for try := 1; ; try++ {
		if err := p.tryRun(base, name); try == most || !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
}

func (p *place) tryRun(base, name string) error {
	if err := ensureBase(base); err != nil {
		return err
	}
	if err := p.account.checkReach(base); err != nil {
		return err
	}
	p.run = filepath.Join(base, name)
	if n := len(filepath.Join(p.run, ".s.PGSQL.5432")); n > maxSocketPath {
		return fmt.Errorf("temporary folder %s: a socket in it would have a path of %d bytes, at most %d are possible; choose a shorter one", base, n, maxSocketPath)
	}
	guard, err := lockBase(base)
	if err != nil {
		return err
	}
	defer func() { _ = guard.Close() }()
	if err := sweep(base); err != nil {
		return err
	}
	if err := p.mkdirOwned(p.run); err != nil {
		return err
	}
	f, err := lock(p.run, syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil {
		return err
	}
	p.locks = append(p.locks, f)
	return nil
}

func (p *place) mkdirOwned(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := p.account.own(dir); err != nil {
		return fmt.Errorf("give folder to the servers' account: %w", err)
	}
	return nil
}

func (p *place) unlock() {
	for _, f := range p.locks {
		_ = f.Close()
	}
	p.locks = nil
}

// ensureBase makes the folder of run folders. It has a fixed name in a folder
// that anybody may write, so one that another user has put there is refused.
func ensureBase(base string) error {
	if err := os.Mkdir(base, 0o711); err == nil {
		return os.Chmod(base, 0o711)
	} else if !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make temporary folder: %w", err)
	}
	st, err := os.Lstat(base)
	if err != nil {
		return fmt.Errorf("temporary folder: %w", err)
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !st.IsDir() || !ok || int(sys.Uid) != os.Geteuid() || st.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("temporary folder %s: want a folder of uid %d that nobody else may write; remove it", base, os.Geteuid())
	}
	return nil
}

// lockBase locks the folder of run folders against all who make or remove one:
// os.ErrNotExist when it was removed meanwhile.
func lockBase(base string) (*os.File, error) {
	f, err := lock(base, syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	locked, lerr := f.Stat()
	named, nerr := os.Stat(base)
	if lerr != nil || nerr != nil || !os.SameFile(locked, named) {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", base, os.ErrNotExist)
	}
	return f, nil
}

// removeBase removes the folder of run folders if none is left in it.
func removeBase(base string) {
	guard, err := lockBase(base)
	if err != nil {
		return // gone already
	}
	defer func() { _ = guard.Close() }()
	_ = os.Remove(base) // refused while there is anything in it
}

// sweep removes run folders whose lock is free. The caller holds base's lock. A
// check by process id would not do: a killed process may stay a zombie.
func sweep(base string) error {
	entries, err := os.ReadDir(base)
	if err != nil {
		return fmt.Errorf("sweep temporary folder: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), "pg-") && !strings.HasPrefix(e.Name(), "redis-") {
			continue
		}
		dir := filepath.Join(base, e.Name())
		f, err := lock(dir, syscall.LOCK_EX|syscall.LOCK_NB)
		if err != nil {
			continue // in use, or gone by now
		}
		err = os.RemoveAll(dir)
		_ = f.Close()
		if err != nil {
			return fmt.Errorf("sweep temporary folder: %w", err)
		}
	}
	return nil
}

// lock takes a lock on a file or folder that holds until it is closed, here and
// in every child that inherited it.
func lock(path string, how int) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// lockWaiting takes the lock as soon as it is free, or fails when ctx ends.
func lockWaiting(ctx context.Context, path string) (*os.File, error) {
	var f *os.File
	err := poll(ctx, 10*pollEvery, func() (bool, error) {
		var err error
		f, err = lock(path, syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return false, nil
		}
		return err == nil, err
	})
	return f, err
}

// poll calls check at once and then at every interval until it is done, fails,
// or ctx ends.
func poll(ctx context.Context, every time.Duration, check func() (done bool, err error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if done, err := check(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func randomHex() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails, as documented
	return hex.EncodeToString(b[:])
}
