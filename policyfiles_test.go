package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pxactions/px/model"
)

// folder has files by their paths in it.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}

func TestFilesOfAFolder(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"b.yaml": "2", "a/z.yml": "1", "a/b/c.yaml": "0", "README.md": "", "c.json": "", ".hidden.yaml": "", ".git/x.yaml": "", "..data/linked.yaml": "3",
	})
	// As Kubernetes mounts files: links into a hidden folder.
	require.NoError(t, os.Symlink(filepath.Join("..data", "linked.yaml"), filepath.Join(dir, "linked.yaml")))
	link := filepath.Join(t.TempDir(), "policy")
	require.NoError(t, os.Symlink(dir, link))
	for _, root := range []string{dir, link, dir + "/"} {
		files, err := readFiles(root)
		require.NoError(t, err)
		var names, texts []string
		for _, f := range files {
			names = append(names, f.Name)
			texts = append(texts, string(f.Text))
		}
		assert.Equal(t, []string{"0", "1", "2", "3"}, texts)
		assert.Equal(t, []string{
			filepath.Join(root, "a/b/c.yaml"), filepath.Join(root, "a/z.yml"), filepath.Join(root, "b.yaml"), filepath.Join(root, "linked.yaml"),
		}, names)
	}
	files, err := readFiles(filepath.Join(dir, "b.yaml"))
	require.NoError(t, err)
	assert.Empty(t, files[0].Name, "the caller has it")
}

func TestAFolderThatIsNoPolicy(t *testing.T) {
	t.Parallel()
	_, _, err := readPolicy(folder(t, map[string]string{"README.md": "", ".a.yaml": "{}"}))
	require.ErrorContains(t, err, "holds no *.yaml or *.yml")
	_, _, err = readPolicy(folder(t, map[string]string{"a.yaml": "# later", "b.yaml": ""}))
	require.ErrorContains(t, err, "holds no policy")
	_, p, err := readPolicy(folder(t, map[string]string{"a.yaml": "# later", "b.yaml": "max_age: 1d"}))
	require.NoError(t, err)
	assert.Equal(t, "1d", p.MaxAge.String())

	gone := folder(t, nil)
	require.NoError(t, os.Symlink("nowhere", filepath.Join(gone, "a.yaml")))
	_, _, err = readPolicy(gone)
	var usage *usageError
	require.ErrorAs(t, err, &usage)
	_, err = yamlFiles(os.DirFS(filepath.Join(gone, "none")))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestPolicyCommandsTakeFolders(t *testing.T) {
	t.Parallel()
	sample := func(name, cut string) (string, string) {
		src, err := os.ReadFile(filepath.Join("samples", name))
		require.NoError(t, err)
		head, rest, ok := strings.Cut(string(src), cut)
		require.True(t, ok)
		return head, cut + rest
	}
	base, routing := sample("policy.yaml", "\nrouting:\n")
	_, cases := sample("policy-tests.yaml", "\ncases:\n")
	people, places := sample("directory.yaml", "\n")
	world := folder(t, map[string]string{
		"policy/base.yaml": base, "policy/routing/all.yml": routing, "directory.yaml": people + places,
		"cases/all.yaml": cases, "cases/files.yaml": "policy: ../policy\ndirectory: ../directory.yaml\n",
	})
	whole := filepath.Join(world, "policy")
	faulty := folder(t, map[string]string{"a.yaml": "max_age: 1d", "b.yaml": "max_age: 1d"})
	directory := []string{"--directory", "samples/directory.yaml"}
	for name, tt := range map[string]struct {
		args []string
		want int
	}{
		"a sound folder":                      {append([]string{"validate", "-f", whole}, directory...), exitOK},
		"a faulty folder":                     {append([]string{"validate", "-f", faulty}, directory...), exitFail},
		"cases of a file":                     {[]string{"test", "samples/policy-tests.yaml", "--policy", whole}, exitOK},
		"a folder of cases":                   {[]string{"test", filepath.Join(world, "cases")}, exitOK},
		"a folder of cases by another policy": {[]string{"test", filepath.Join(world, "cases"), "--policy", folder(t, map[string]string{"a.yml": "{}"})}, exitFail},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, run(t.Context(), append([]string{"policy"}, tt.args...)))
		})
	}
}

func TestFaultsOfAFileAndOfAFolder(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	printAt(&b, "policy", "warning: ", model.FieldErrors{
		{Field: "sla", At: "line 3", Want: "one"}, {Field: "sla", At: "policy/b.yaml:4", Want: "two"}, {Field: "sla", Want: "three"},
	})
	assert.Equal(t, "policy:3: warning: sla: one\npolicy/b.yaml:4: warning: sla: two\npolicy: warning: sla: three\n", b.String())
}
