// Command testtotals reads `go test -json` events from standard input, shows what a person wants to see
// of them (a line for each package, the whole output of what failed) and closes with the totals. It exits
// 1 when something failed or when no test ran at all.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	name := flag.String("name", "tests", "what was run, shown before the totals")
	summary := flag.String("summary", "", "file to write the line of totals to; empty: none")
	flag.Parse()

	totals, err := read(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testtotals: read events:", err)
		os.Exit(1)
	}
	fmt.Printf("%s: %s\n", *name, totals)
	if *summary != "" {
		if err := os.WriteFile(*summary, []byte(totals.String()+"\n"), 0o600); err != nil {
			fmt.Fprintln(os.Stderr, "testtotals: write totals:", err)
			os.Exit(1)
		}
	}
	if totals.failed > 0 {
		os.Exit(1)
	}
	if totals.passed == 0 {
		fmt.Fprintln(os.Stderr, "testtotals: no test ran")
		os.Exit(1)
	}
}
