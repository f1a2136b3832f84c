package localenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

const (
	minPostgres = 15 // major
	minRedis    = 62 // major × 10 + minor
)

// program is where a server's executables are.
type program struct {
	path string // PostgreSQL: the folder; Redis: the file
	libs string // for LD_LIBRARY_PATH; empty when installed
}

// command runs the program, or name in its folder.
func (p program) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.path, name), args...)
	cmd.Dir = "/" // one that the account may enter, unlike perhaps ours
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	if p.libs != "" {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+p.libs)
	}
	return cmd
}

type programs struct{ postgres, redis program }

// locate finds the wanted programs and fetches those that are missing. With
// AllowMiniredis the Redis may be missing in what it returns.
func (o Options) locate(ctx context.Context, wantPostgres, wantRedis bool) (found programs, err error) {
	major := 0
	if wantPostgres {
		if major, err = o.keptMajor(); err != nil {
			return found, err
		}
	}
	var pgErr, redisErr error
	find := func() (missing []recipe) {
		if wantPostgres {
			if found.postgres, pgErr = o.findPostgres(major); pgErr != nil {
				missing = append(missing, postgresRecipe())
			}
		}
		if wantRedis {
			if found.redis, redisErr = o.findRedis(); redisErr != nil {
				missing = append(missing, redisRecipe())
			}
		}
		return missing
	}
	missing := find()
	if len(missing) == 0 {
		return found, nil
	}
	fetchErr := o.fetch(ctx, missing)
	find()
	if ctx.Err() != nil {
		return found, ctx.Err()
	}
	if redisErr != nil && o.AllowMiniredis {
		redisErr = nil
	}
	if pgErr != nil {
		err = unavailable("PostgreSQL", "postgresql", pgErr, fetchErr)
	}
	if redisErr != nil {
		err = errors.Join(err, unavailable("Redis", "redis-server", redisErr, fetchErr))
	}
	return found, err
}

func unavailable(name, pkg string, found, fetched error) error {
	fix := "as root: apt-get update && apt-get install -y " + pkg
	if runtime.GOOS != "linux" {
		fix = "install it with your package manager, so that it is on PATH"
	}
	err := fmt.Errorf("no %s: give its URL, or install it (%s): %w: %w", name, fix, ErrUnavailable, found)
	if fetched != nil {
		err = fmt.Errorf("%w; fetching it: %w", err, fetched)
	}
	return err
}

// findPostgres returns the newest PostgreSQL that fits; major 0 is any.
func (o Options) findPostgres(major int) (program, error) {
	var dirs []string
	if !o.hideInstalled {
		dirs, _ = filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is valid
		slices.SortFunc(dirs, func(a, b string) int { return majorOf(b) - majorOf(a) })
		if path, err := exec.LookPath("initdb"); err == nil {
			if real, err := filepath.EvalSymlinks(path); err == nil {
				dirs = append(dirs, filepath.Dir(real))
			}
		}
	}
	candidates := make([]program, 0, len(dirs)+1)
	for _, d := range dirs {
		candidates = append(candidates, program{path: d})
	}
	prefix := filepath.Join(o.cacheDir(), "postgres")
	fetched, _ := filepath.Glob(filepath.Join(prefix, "usr/lib/postgresql/*/bin"))
	for _, d := range fetched {
		candidates = append(candidates, program{path: d, libs: libsIn(prefix)})
	}
	var reasons []error
	for _, c := range candidates {
		err := o.checkPostgres(c, major)
		if err == nil {
			return c, nil
		}
		reasons = append(reasons, err)
	}
	return program{}, notFound(reasons)
}

func (o Options) checkPostgres(p program, major int) error {
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := os.Stat(filepath.Join(p.path, name)); err != nil {
			return err
		}
	}
	v, err := o.version(p, "postgres", regexp.MustCompile(`\(PostgreSQL\) (\d+)`))
	switch {
	case err != nil:
		return err
	case v < minPostgres:
		return fmt.Errorf("%s is PostgreSQL %d, at least %d is needed", p.path, v, minPostgres)
	case major != 0 && v != major:
		return fmt.Errorf("the data folder was made by PostgreSQL %d, %s is PostgreSQL %d: install that version, or choose another data folder", major, p.path, v)
	}
	return nil
}

// findRedis returns the first Redis or Valkey that fits.
func (o Options) findRedis() (program, error) {
	var candidates []program
	if !o.hideInstalled {
		for _, name := range []string{"redis-server", "valkey-server"} {
			if path, err := exec.LookPath(name); err == nil {
				candidates = append(candidates, program{path: path})
			}
		}
	}
	prefix := filepath.Join(o.cacheDir(), "redis")
	if path := filepath.Join(prefix, "usr/bin/redis-server"); isFile(path) {
		candidates = append(candidates, program{path: path, libs: libsIn(prefix)})
	}
	var reasons []error
	for _, c := range candidates {
		v, err := o.version(c, "", redisVersion())
		if err == nil && v < minRedis {
			err = fmt.Errorf("%s is version %d.%d, at least %d.%d is needed", c.path, v/10, v%10, minRedis/10, minRedis%10)
		}
		if err == nil {
			return c, nil
		}
		reasons = append(reasons, err)
	}
	return program{}, notFound(reasons)
}

// redisVersion finds the version in what redis-server or valkey-server says.
func redisVersion() *regexp.Regexp { return regexp.MustCompile(`v=(\d+)\.(\d+)`) }

// version asks the program, as the account that it will run as. The groups of
// the pattern are read as one number, digit by digit.
func (o Options) version(p program, name string, pattern *regexp.Regexp) (int, error) {
	kind := "redis"
	if name != "" {
		kind = "pg"
	}
	a, err := serverAccount(filepath.Join(o.DataDir, kind))
	if err != nil {
		return 0, err
	}
	cmd := p.command(name, "--version")
	real, err := filepath.EvalSymlinks(cmd.Path)
	if err != nil {
		return 0, err
	}
	if err := a.checkReach(filepath.Dir(real)); err != nil {
		return 0, err
	}
	a.apply(cmd)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%s --version: %w: %s", cmd.Path, err, strings.TrimSpace(string(out)))
	}
	m := pattern.FindStringSubmatch(string(out))
	if m == nil {
		return 0, fmt.Errorf("%s --version: not understood: %s", cmd.Path, strings.TrimSpace(string(out)))
	}
	v := 0
	for _, g := range m[1:] {
		n, err := strconv.Atoi(g)
		if err != nil {
			return 0, fmt.Errorf("%s --version: %w", cmd.Path, err)
		}
		v = v*10 + n
	}
	return v, nil
}

func notFound(reasons []error) error {
	if len(reasons) == 0 {
		return errors.New("none is installed")
	}
	return errors.Join(reasons...)
}

// majorOf reads the version out of a path like /usr/lib/postgresql/15/bin.
func majorOf(dir string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir))) // 0 sorts last
	return n
}

// libsIn lists the folders of libraries of unpacked packages; some are in lib,
// some in usr/lib.
func libsIn(prefix string) string {
	var dirs []string
	for _, pattern := range []string{"usr/lib/*-linux-gnu*", "lib/*-linux-gnu*"} {
		found, _ := filepath.Glob(filepath.Join(prefix, pattern))
		dirs = append(dirs, found...)
	}
	return strings.Join(dirs, ":")
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}
