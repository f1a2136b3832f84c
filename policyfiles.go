package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pxactions/px/sla"
)

// readPolicy reads a policy, from one file or a folder of them, or tells its
// faults. The files are for sla.Locate.
func readPolicy(name string) ([]sla.File, *sla.Policy, error) {
	files, err := readFiles(name)
	if err != nil {
		return nil, nil, err
	}
	p, err := sla.ParsePolicyFiles(files)
	if err != nil {
		return nil, nil, faultsIn(name, err)
	}
	return files, p, saysSomething(name, files)
}

// saysSomething refuses what has no policy in it.
func saysSomething(name string, files []sla.File) error {
	for _, f := range files {
		if !saysNothing(f.Text) {
			return nil
		}
	}
	return fmt.Errorf("%s: holds no policy; write {} for the built-in rules alone", name)
}

// readFiles reads one file, standard input (-), or every *.yaml and *.yml of a
// folder and its sub-folders in the order of their paths, but for hidden ones.
func readFiles(name string) ([]sla.File, error) {
	if !isFolder(name) {
		src, err := readFile(name)
		return []sla.File{{Text: src}}, err
	}
	paths, err := yamlFiles(os.DirFS(name))
	if err != nil {
		return nil, usagef("%s: %w", name, err)
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%s: holds no *.yaml or *.yml", name)
	}
	files := make([]sla.File, len(paths))
	for i, p := range paths {
		files[i].Name = filepath.Join(name, filepath.FromSlash(p))
		if files[i].Text, err = readFile(files[i].Name); err != nil {
			return nil, err
		}
	}
	return files, nil
}

func yamlFiles(folder fs.FS) ([]string, error) {
	var paths []string
	err := fs.WalkDir(folder, ".", func(p string, d fs.DirEntry, err error) error {
		switch hidden := p != "." && strings.HasPrefix(d.Name(), "."); {
		case err != nil:
			return err
		case hidden && d.IsDir():
			return fs.SkipDir
		case !hidden && !d.IsDir() && (path.Ext(p) == ".yaml" || path.Ext(p) == ".yml"):
			paths = append(paths, p)
		}
		return nil
	})
	slices.Sort(paths)
	return paths, err
}

func isFolder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}
