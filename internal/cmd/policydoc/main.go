// Command policydoc writes the key reference in docs/policy.md, between its
// markers, from the JSON Schema of the policy. Run it in the repository's root.
package main

import (
	"fmt"
	"os"

	"github.com/pxactions/px/sla"
)

const file = "docs/policy.md"

func main() {
	if err := run(file); err != nil {
		fmt.Fprintln(os.Stderr, "policydoc:", err)
		os.Exit(1)
	}
}

func run(name string) error {
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	src, err := sla.Schema()
	if err != nil {
		return err
	}
	out, err := page(string(old), src)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return os.WriteFile(name, []byte(out), 0o644) //nolint:gosec // a text of the repository
}
