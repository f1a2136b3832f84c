package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/pxactions/px/sla"
	"github.com/pxactions/px/store"
)

type policyDiffCmd struct {
	File    string `short:"f" required:"" placeholder:"FILE" help:"The policy: a file, or a folder of them; - reads standard input."`
	Against int64  `placeholder:"N" help:"The revision to compare with; by default the active one. What it would do to open actions is told as they stand now."`
}

// Run prints both; it changes nothing.
func (c policyDiffCmd) Run(ctx context.Context, s *Settings) error {
	files, p, err := readPolicy(c.File)
	if err != nil {
		return err
	}
	return withStore(ctx, s, func(st *store.Store) error {
		return faultsIn(c.File, sla.Locate(files, printChange(ctx, st, p, c.Against, "new", "open")))
	})
}

// printChange tells in what a policy differs from a revision (0: the active one),
// and what applying it to new or open would do to open actions.
func printChange(ctx context.Context, st *store.Store, p *sla.Policy, against int64, applyTo ...string) error {
	old, row, err := st.Policy(ctx, against)
	if err != nil {
		return err
	}
	if p, err = st.CarryFeeds(ctx, p); err != nil { // what px policy apply would write
		return err
	}
	ds, err := sla.Diff(old, p)
	if err != nil {
		return err
	}
	switch {
	case row.Revision == 0:
		fmt.Println("there is no revision yet: all of it is new")
	case len(ds) == 0:
		fmt.Printf("no difference from revision %d\n", row.Revision)
	default:
		printDifferences(os.Stdout, ds)
	}
	pv, err := st.PreviewPolicy(ctx, p)
	if err != nil {
		return err
	}
	fmt.Printf("\nopen actions: %d\n", pv.Live)
	if pv.Live == 0 {
		return nil
	}
	for _, to := range applyTo {
		if to == "open" {
			printImpact(os.Stdout, "px policy apply --apply-to open", pv.Whole)
			continue
		}
		printImpact(os.Stdout, "px policy apply (new calendars reach them)", pv.Calendars)
	}
	return nil
}

func printDifferences(w io.Writer, ds []sla.Difference) {
	for _, d := range ds {
		head := d.Section
		if d.Name != "" {
			head += fmt.Sprintf(" %q", d.Name)
		}
		_, _ = fmt.Fprintf(w, "%s: %s\n", head, d.Change)
		for _, k := range d.Keys {
			switch {
			case k.Old == "":
				_, _ = fmt.Fprintf(w, "  + %s: %s\n", cmp.Or(k.Key, d.Section), k.New)
			case k.New == "":
				_, _ = fmt.Fprintf(w, "  - %s: %s\n", cmp.Or(k.Key, d.Section), k.Old)
			default:
				_, _ = fmt.Fprintf(w, "  ~ %s: %s -> %s\n", cmp.Or(k.Key, d.Section), k.Old, k.New)
			}
		}
	}
}

func printImpact(w io.Writer, what string, im store.Impact) {
	_, _ = fmt.Fprintf(w, "\n%s:\n", what)
	if n := len(im.Moved); n > 0 {
		_, _ = fmt.Fprintf(w, "  due dates that move: %d, from %s to %s, median %s\n",
			n, signed(im.Moved[0]), signed(im.Moved[n-1]), signed(im.Moved[n/2]))
	} else {
		_, _ = fmt.Fprintln(w, "  no due date moves")
	}
	printRefs(w, "become overdue", im.Overdue)
	printRefs(w, "are overdue no more", im.Cleared)
	if len(im.Told) == 0 {
		_, _ = fmt.Fprintln(w, "  nobody is told")
		return
	}
	people := slices.SortedFunc(maps.Keys(im.Told), func(a, b string) int {
		return cmp.Or(cmp.Compare(im.Told[b], im.Told[a]), strings.Compare(a, b))
	})
	for i, code := range people {
		people[i] = fmt.Sprintf("%s (%d)", code, im.Told[code])
	}
	_, _ = fmt.Fprintf(w, "  told, of how many actions: %s\n", strings.Join(people, ", "))
}

// refsShown is how many actions a line names.
const refsShown = 20

func printRefs(w io.Writer, what string, refs []string) {
	if len(refs) == 0 {
		return
	}
	more := ""
	if n := len(refs) - refsShown; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	_, _ = fmt.Fprintf(w, "  %s: %d: %s%s\n", what, len(refs), strings.Join(refs[:min(len(refs), refsShown)], ", "), more)
}

// signed writes a move of a due: +24h, -2h30m.
func signed(d time.Duration) string {
	if d < 0 {
		return "-" + sla.SpanText(-d)
	}
	return "+" + sla.SpanText(d)
}
