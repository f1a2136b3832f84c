package localenv

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
)

// recipe is how to get one server from Debian packages.
type recipe struct {
	name  string         // for people
	pkg   string         // the package that depends on all others
	dir   string         // in the cache
	has   string         // pattern of what must be in dir afterwards
	skip  *regexp.Regexp // packages that are not needed to run it
	clash *regexp.Regexp // packages to fetch even if they are installed
}

func postgresRecipe() recipe {
	return recipe{
		name: "PostgreSQL", pkg: "postgresql", dir: "postgres", has: "usr/lib/postgresql/*/bin/postgres",
		// The compiler is for jit, which is off; the rest is for administration.
		skip:  regexp.MustCompile(`^(libllvm|libz3|perl|libperl|libgdbm|libjson-perl|postgresql-common|postgresql-client-common|ssl-cert|openssl|sysstat)`),
		clash: regexp.MustCompile(`^postgresql`),
	}
}

func redisRecipe() recipe {
	return recipe{
		name: "Redis", pkg: "redis-server", dir: "redis", has: "usr/bin/redis-server",
		skip:  regexp.MustCompile(`^(lsb-base|sysvinit-utils|init-system-helpers)$`),
		clash: regexp.MustCompile(`^redis`),
	}
}

// cacheDir is the part of the cache for this system: programs that were fetched
// for another release would lack their libraries.
func (o Options) cacheDir() string {
	system := runtime.GOOS
	if f, err := os.Open("/etc/os-release"); err == nil {
		defer func() { _ = f.Close() }()
		for sc := bufio.NewScanner(f); sc.Scan(); {
			if v, ok := strings.CutPrefix(sc.Text(), "VERSION_CODENAME="); ok && !strings.Contains(v, "/") {
				system = strings.Trim(v, `"`)
			}
		}
	}
	return filepath.Join(o.CacheDir, "packages", system+"-"+runtime.GOARCH)
}

// fetch unpacks the servers' packages into the cache, without installing them
// and without root. Several processes may do so at the same time; one works and
// the others wait for it.
func (o Options) fetch(ctx context.Context, wanted []recipe) error {
	if o.NoFetch {
		return errors.New("is turned off (LOCALENV_FETCH=0)")
	}
	for _, tool := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("needs a Debian-like system: %w", err)
		}
	}
	cache := o.cacheDir()
	if err := o.makeCache(cache); err != nil {
		return err
	}
	l, err := lock(cache, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		o.Log.Info().Msg("another process is fetching packages, waiting for it")
		l, err = lockWaiting(ctx, cache)
	}
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	old, _ := filepath.Glob(filepath.Join(cache, ".work-*")) // of a killed process: we hold the lock
	for _, d := range old {
		_ = os.RemoveAll(d)
	}
	var missing []recipe
	var names []string
	for _, r := range wanted {
		if found, _ := filepath.Glob(filepath.Join(cache, r.dir, r.has)); len(found) == 0 {
			missing = append(missing, r)
			names = append(names, r.name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	o.Log.Info().Str("into", cache).Msgf("fetching %s from the Debian mirror, once, about 15 to 45 MB", strings.Join(names, " and "))
	return o.fetchInto(ctx, cache, missing)
}

// makeCache makes the cache passable for the servers' account, whatever the
// umask.
func (o Options) makeCache(cache string) error {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return fmt.Errorf("make cache folder: %w", err)
	}
	for d := cache; len(d) >= len(o.CacheDir); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			return fmt.Errorf("open cache folder: %w", err)
		}
	}
	return nil
}

func (o Options) fetchInto(ctx context.Context, cache string, missing []recipe) error {
	work, err := os.MkdirTemp(cache, ".work-")
	if err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	apt, err := o.newApt(work)
	if err != nil {
		return err
	}
	// A source of the machine's that fails need not be the one that is needed.
	_, updateErr := apt.run(ctx, "", "update")
	for _, r := range missing {
		if err := apt.unpack(ctx, r); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", r.name, err), updateErr)
		}
		target := filepath.Join(cache, r.dir)
		if err := os.RemoveAll(target); err != nil {
			return fmt.Errorf("replace a broken copy: %w", err)
		}
		if err := os.Rename(filepath.Join(work, r.dir), target); err != nil {
			return fmt.Errorf("put in place: %w", err)
		}
		o.Log.Info().Str("server", r.name).Msg("fetched")
	}
	return nil
}

// apt runs apt with state folders of its own: neither root nor the machine's
// locks are needed and nothing of the machine's changes. It checks signatures as
// always.
type apt struct {
	work   string
	status string // dpkg's list of installed packages
	args   []string
}

func (o Options) newApt(work string) (*apt, error) {
	a := &apt{work: work, status: o.dpkgStatus}
	a.args = append([]string{
		"-qq",
		"-o", "Dir::State::lists=" + filepath.Join(work, "lists"),
		"-o", "Dir::State::status=" + filepath.Join(work, "status"),
		"-o", "Dir::Cache=" + filepath.Join(work, "cache"),
		"-o", "Dir::Cache::archives=" + filepath.Join(work, "archives"),
		"-o", "Debug::NoLocking=1",
		"-o", "APT::Sandbox::User=root",
		"-o", "APT::Update::Error-Mode=any", // else a failed update is a success
		"-o", "Acquire::Languages=none",
		"-o", "Acquire::Retries=1",
		"-o", "Acquire::http::Timeout=20",
		"-o", "Acquire::https::Timeout=20",
	}, o.aptArgs...)
	for _, d := range []string{"lists/partial", "cache", "archives/partial"} {
		if err := os.MkdirAll(filepath.Join(work, d), 0o755); err != nil {
			return nil, fmt.Errorf("make folder: %w", err)
		}
	}
	return a, a.writeStatus(nil)
}

// writeStatus gives apt the list of installed packages without those that match.
func (a *apt) writeStatus(except *regexp.Regexp) error {
	b, err := os.ReadFile(a.status)
	if err != nil {
		return fmt.Errorf("installed packages: %w", err)
	}
	var keep bytes.Buffer
	for stanza := range bytes.SplitSeq(b, []byte("\n\n")) {
		first, _, _ := bytes.Cut(bytes.TrimSpace(stanza), []byte("\n"))
		name, ok := bytes.CutPrefix(first, []byte("Package: "))
		if !ok || except != nil && except.Match(name) {
			continue
		}
		keep.Write(bytes.TrimSpace(stanza))
		keep.WriteString("\n\n")
	}
	if err := os.WriteFile(filepath.Join(a.work, "status"), keep.Bytes(), 0o644); err != nil {
		return fmt.Errorf("installed packages: %w", err)
	}
	return nil
}

// unpack puts the recipe's packages into its folder in the work folder.
func (a *apt) unpack(ctx context.Context, r recipe) error {
	if err := a.writeStatus(r.clash); err != nil {
		return err
	}
	out, err := a.run(ctx, "", "install", "--print-uris", "--no-install-recommends", r.pkg)
	if err != nil {
		return err
	}
	names := packagesIn(out, r.skip)
	if len(names) == 0 {
		return fmt.Errorf("apt names no package for %s", r.pkg)
	}
	debs := filepath.Join(a.work, r.dir+"-debs")
	prefix := filepath.Join(a.work, r.dir)
	for _, d := range []string{debs, prefix} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		if err := os.Chmod(d, 0o755); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
	}
	if _, err := a.run(ctx, debs, append([]string{"download"}, names...)...); err != nil {
		return err
	}
	files, _ := filepath.Glob(filepath.Join(debs, "*.deb"))
	for _, f := range files {
		if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", f, prefix).CombinedOutput(); err != nil {
			return fmt.Errorf("unpack %s: %w: %s", filepath.Base(f), err, strings.TrimSpace(string(out)))
		}
	}
	if found, _ := filepath.Glob(filepath.Join(prefix, r.has)); len(found) == 0 {
		return fmt.Errorf("the packages %s hold no %s", strings.Join(names, " "), r.has)
	}
	return os.Chmod(prefix, 0o755) // the first package's root folder set its mode
}

// packagesIn reads the names out of lines like
// 'http://…/x.deb' redis-tools_5%3a7.0.15_amd64.deb 991988 SHA256:…
func packagesIn(out []byte, skip *regexp.Regexp) []string {
	var names []string
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || !strings.HasPrefix(fields[0], "'") {
			continue
		}
		if name, _, ok := strings.Cut(fields[1], "_"); ok && !skip.MatchString(name) {
			names = append(names, name)
		}
	}
	return names
}

func (a *apt) run(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "apt-get", append(append([]string{}, a.args...), args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("apt-get %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}
