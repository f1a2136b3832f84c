package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"text/tabwriter"

	"github.com/goccy/go-yaml"

	"github.com/pxactions/px/model"
)

// lineOf finds the line that a fault of a document names.
var lineOf = regexp.MustCompile(`line (\d+)`)

// faultsIn tells every fault of a file on a line of its own, with file and line
// in front, so that an editor can jump there.
func faultsIn(file string, err error) error {
	var faults model.FieldErrors
	if !errors.As(err, &faults) {
		return err
	}
	printAt(os.Stderr, file, "", faults)
	return fmt.Errorf("%s: %d faults, nothing was changed", file, len(faults))
}

func printAt(w io.Writer, file, what string, faults model.FieldErrors) {
	for _, f := range faults {
		at := file
		if m := lineOf.FindStringSubmatch(f.Want); m != nil {
			at += ":" + m[1]
		}
		_, _ = fmt.Fprintf(w, "%s: %s%s: %s\n", at, what, f.Field, f.Want)
	}
}

// saysNothing reports whether a YAML file is empty, or has comments alone: more
// likely a mistake than a wish.
func saysNothing(src []byte) bool {
	var v any
	return yaml.Unmarshal(src, &v) == nil && v == nil
}

// table prints rows in columns.
func table(header string, rows [][]any) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	if _, err := fmt.Fprintln(w, header); err != nil {
		return err
	}
	for _, r := range rows {
		for i, cell := range r {
			sep := "\t"
			if i == len(r)-1 {
				sep = "\n"
			}
			if _, err := fmt.Fprint(w, cell, sep); err != nil {
				return err
			}
		}
	}
	return w.Flush()
}
