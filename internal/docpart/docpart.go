// Package docpart writes parts of a page of docs/ anew that follow from the code.
package docpart

import (
	"fmt"
	"strings"
)

// Replace replaces what stands between `<!-- marker -->` and the next
// `<!-- end -->`, which stay. An error names the marker that is missing.
func Replace(page, marker, with string) (string, error) {
	begin, end := "<!-- "+marker+" -->\n", "<!-- end -->"
	head, rest, ok := strings.Cut(page, begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return "", fmt.Errorf("has no part between %q and %q", strings.TrimSpace(begin), end)
	}
	return head + begin + "\n" + with + "\n" + end + tail, nil
}
