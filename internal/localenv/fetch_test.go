package localenv

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// mirror makes a Debian mirror in a folder, with a server that depends on a
// library and on a compiler that is not wanted, and returns options that know no
// other mirror. The library is installed already in an old, broken form.
func mirror(t *testing.T) (Options, recipe) {
	t.Helper()
	dir := openDir(t)
	list := &strings.Builder{}
	for _, p := range []struct{ name, file, depends string }{
		{"pxserver", "usr/bin/pxserver", "pxserver-lib, pxbase, libllvm14"},
		{"pxserver-lib", "lib/x86_64-linux-gnu/libpx.so", ""},
		{"libllvm14", "usr/lib/llvm", ""},
	} {
		list.WriteString(buildPackage(t, dir, p.name, p.file, p.depends))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Packages"), []byte(list.String()), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sources.list"), []byte("deb [trusted=yes] file:"+dir+" ./\n"), 0o644))
	status := ""
	for _, name := range []string{"pxbase", "pxserver-lib"} {
		status += fmt.Sprintf("Package: %s\nStatus: install ok installed\nArchitecture: all\nMaintainer: px <px@example.org>\nVersion: 1\nDescription: test\n\n", name)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "status"), []byte(status), 0o644))
	o := setup(t)
	o.hideInstalled = true
	o.CacheDir = filepath.Join(openDir(t), "cache")
	o.dpkgStatus = filepath.Join(dir, "status")
	o.aptArgs = []string{
		"-o", "Dir::Etc::sourcelist=" + filepath.Join(dir, "sources.list"),
		"-o", "Dir::Etc::sourceparts=/dev/null",
	}
	return o, recipe{
		name: "PXServer", pkg: "pxserver", dir: "pxserver", has: "usr/bin/pxserver",
		skip: postgresRecipe().skip, clash: regexp.MustCompile(`^pxserver`),
	}
}

// buildPackage makes a package that holds one file and returns its entry in the
// mirror's list.
func buildPackage(t *testing.T, dir, name, file, depends string) string {
	t.Helper()
	root := filepath.Join(dir, "build-"+name)
	require.NoError(t, os.MkdirAll(filepath.Join(root, "DEBIAN"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(root, filepath.Dir(file)), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, file), []byte("#!/bin/sh\n"), 0o755))
	control := fmt.Sprintf("Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: px <px@example.org>\n", name)
	if depends != "" {
		control += "Depends: " + depends + "\n"
	}
	control += "Description: test\n"
	require.NoError(t, os.WriteFile(filepath.Join(root, "DEBIAN", "control"), []byte(control), 0o644))
	deb := filepath.Join(dir, name+"_1_all.deb")
	out, err := exec.Command("dpkg-deb", "--build", root, deb).CombinedOutput()
	require.NoError(t, err, string(out))
	sum, err := exec.Command("sha256sum", deb).Output()
	require.NoError(t, err)
	st, err := os.Stat(deb)
	require.NoError(t, err)
	return control + fmt.Sprintf("Filename: ./%s\nSize: %d\nSHA256: %s\n\n", filepath.Base(deb), st.Size(), strings.Fields(string(sum))[0])
}

// hasApt is false where packages cannot be fetched; there, the error must say so.
func hasApt(t *testing.T) bool {
	t.Helper()
	for _, tool := range []string{"apt-get", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			o := setup(t)
			o.CacheDir = openDir(t)
			require.ErrorContains(t, o.fetch(t.Context(), []recipe{redisRecipe()}), "needs a Debian-like system")
			return false
		}
	}
	return true
}

func TestPackagesAreFetchedOnceWithWhatTheyNeed(t *testing.T) {
	t.Parallel()
	if !hasApt(t) {
		return
	}
	o, r := mirror(t)
	require.NoError(t, os.MkdirAll(filepath.Join(o.cacheDir(), ".work-of-a-killed-process"), 0o755))
	var wg sync.WaitGroup
	errs := make([]error, 3)
	for i := range errs {
		wg.Go(func() { errs[i] = o.fetch(t.Context(), []recipe{r}) })
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	prefix := filepath.Join(o.cacheDir(), r.dir)
	require.Equal(t, []string{r.dir}, entries(t, o.cacheDir()), "no work folder stays")
	require.FileExists(t, filepath.Join(prefix, "usr/bin/pxserver"))
	require.FileExists(t, filepath.Join(prefix, "lib/x86_64-linux-gnu/libpx.so"), "installed, but in a clash")
	require.NoFileExists(t, filepath.Join(prefix, "usr/lib/llvm"), "not wanted")
	require.Equal(t, filepath.Join(prefix, "lib/x86_64-linux-gnu"), libsIn(prefix))
	for d := prefix; len(d) >= len(o.CacheDir); d = filepath.Dir(d) {
		st, err := os.Stat(d)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o755), st.Mode().Perm(), d)
	}

	o.aptArgs = []string{"--no-such-option"}
	require.NoError(t, o.fetch(t.Context(), []recipe{r}), "what is there is not fetched again")
}

func TestMirrorOutOfReachIsAnError(t *testing.T) {
	t.Parallel()
	if !hasApt(t) {
		return
	}
	o, r := mirror(t)
	list := filepath.Join(openDir(t), "sources.list")
	require.NoError(t, os.WriteFile(list, []byte("deb [trusted=yes] file:/nonexistent ./\n"), 0o644))
	o.aptArgs = []string{"-o", "Dir::Etc::sourcelist=" + list, "-o", "Dir::Etc::sourceparts=/dev/null"}
	err := o.fetch(t.Context(), []recipe{r})
	require.ErrorContains(t, err, "apt-get install")
	require.ErrorContains(t, err, "apt-get update")
	require.Empty(t, entries(t, o.cacheDir()))

	_, err = StartRedis(t.Context(), o)
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorContains(t, err, "apt-get")
}

func TestOneBrokenSourceDoesNotSpoilTheOthers(t *testing.T) {
	t.Parallel()
	if !hasApt(t) {
		return
	}
	o, r := mirror(t)
	list := strings.TrimPrefix(o.aptArgs[1], "Dir::Etc::sourcelist=")
	b, err := os.ReadFile(list)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(list, append(b, "deb [trusted=yes] file:/nonexistent ./\n"...), 0o644))
	require.NoError(t, o.fetch(t.Context(), []recipe{r}))
}

func TestProgramsThatAreTooOldAreRefused(t *testing.T) {
	t.Parallel()
	o := setup(t)
	dir := openDir(t)
	script := func(name, says string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\necho '"+says+"'\n"), 0o755))
		require.NoError(t, os.Chmod(path, 0o755))
		return path
	}
	script("initdb", "")
	script("postgres", "postgres (PostgreSQL) 13.4")
	require.ErrorContains(t, o.checkPostgres(program{path: dir}, 0), "at least 15")
	script("postgres", "postgres (PostgreSQL) 17.1 (Debian 17.1-1)")
	require.NoError(t, o.checkPostgres(program{path: dir}, 0))
	require.NoError(t, o.checkPostgres(program{path: dir}, 17))
	require.ErrorContains(t, o.checkPostgres(program{path: dir}, 16), "made by PostgreSQL 16")

	v, err := o.version(program{path: script("redis-server", "Redis server v=7.0.15 sha=0:0 bits=64")}, "", redisVersion())
	require.NoError(t, err)
	require.Equal(t, 70, v)
}
