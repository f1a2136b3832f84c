package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/goccy/go-yaml"

	"github.com/pxactions/px/model"
)

// faultsIn tells every fault of a file, or of a folder of them, on a line of its
// own, with file and line in front, so that an editor can jump there.
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
		at := cmp.Or(f.At, file)
		if line, ok := strings.CutPrefix(f.At, "line "); ok {
			at = file + ":" + line
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
