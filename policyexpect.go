package main

import (
	"cmp"
	"fmt"
	"path/filepath"

	"github.com/pxactions/px/sla"
)

type policyTestCmd struct {
	File      string `arg:"" placeholder:"FILE" help:"Cases: feedback, and what is to become of it. A file, or a folder of them; - reads standard input."`
	Policy    string `placeholder:"FILE" help:"The policy, a file or a folder; by default what the cases name."`
	Directory string `placeholder:"FILE" help:"People and places; by default what the cases name."`
}

// Run prints a line for each case that comes out otherwise, and how many passed.
func (c policyTestCmd) Run() error {
	src, err := readFiles(c.File)
	if err != nil {
		return err
	}
	x, err := sla.ParseExpectations(src)
	if err != nil {
		return faultsIn(c.File, err)
	}
	base := filepath.Dir(c.File)
	if isFolder(c.File) {
		base = c.File
	}
	policy, directory := cmp.Or(c.Policy, c.beside(base, x.Policy)), cmp.Or(c.Directory, c.beside(base, x.Directory))
	if policy == "" || directory == "" {
		return usagef("%s: names no policy or no directory; give them under policy and directory, or by flags", c.File)
	}
	text, p, err := readPolicy(policy)
	if err != nil {
		return err
	}
	dir, err := readDirectory(directory)
	if err != nil {
		return err
	}
	rules, err := sla.Prepare(p, 0, dir)
	if err != nil {
		return faultsIn(policy, sla.Locate(text, err))
	}
	failures, passed := x.Failures(rules)
	for _, line := range failures {
		fmt.Println(line)
	}
	fmt.Printf("%d passed, %d failed\n", passed, len(failures))
	if len(failures) > 0 {
		return errFound
	}
	return nil
}

// beside is a file as the cases name it, seen from here; base is their folder.
func (c policyTestCmd) beside(base, name string) string {
	if name == "" || filepath.IsAbs(name) || c.File == "-" {
		return name
	}
	return filepath.Join(base, name)
}
