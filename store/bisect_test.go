package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pxactions/px/model"
)

func TestBisectFindsTheBadItems(t *testing.T) {
	t.Parallel()
	items := []int{0, 1, 2, 3, 4, 5, 6, 7, 8}
	tests := []struct {
		name string
		bad  []int
	}{
		{"none", nil}, {"the first", []int{0}}, {"the last", []int{8}}, {"neighbours", []int{3, 4}}, {"all", items},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var done []int
			failed, err := bisect(t.Context(), items, func(_ context.Context, items []int) error {
				for _, i := range items {
					if slices.Contains(tt.bad, i) {
						return fmt.Errorf("item %d", i)
					}
				}
				done = append(done, items...)
				return nil
			})
			if err != nil || len(failed) != len(tt.bad) || len(done)+len(failed) != len(items) {
				t.Fatalf("failed %v, done %v, %v", failed, done, err)
			}
			for _, i := range tt.bad {
				if failed[i] == nil || failed[i].Error() != fmt.Sprintf("item %d", i) {
					t.Errorf("item %d failed with %v", i, failed[i])
				}
			}
			if !slices.IsSorted(done) {
				t.Errorf("done in the order %v", done)
			}
		})
	}
}

func TestBisectLeavesAFaultOfTheWholeAlone(t *testing.T) {
	t.Parallel()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, ctx := range []context.Context{t.Context(), gone} {
		calls := 0
		failed, err := bisect(ctx, []int{1, 2, 3, 4}, func(context.Context, []int) error {
			calls++
			if ctx == gone {
				return ctx.Err()
			}
			return fmt.Errorf("%w: away", model.ErrUnavailable)
		})
		if calls != 1 || len(failed) != 0 || err == nil {
			t.Errorf("calls %d, failed %v, %v; want one call and its error", calls, failed, err)
		}
	}
}

func TestAPanicStandsAlone(t *testing.T) {
	t.Parallel()
	var done []string
	failed, err := bisect(t.Context(), []string{"a", "secret", "c"}, func(_ context.Context, items []string) error {
		if slices.Contains(items, "secret") {
			panic(errors.New("a value that nobody may read"))
		}
		done = append(done, items...)
		return nil
	})
	if err != nil || len(failed) != 1 || failed[1] == nil || len(done) != 2 {
		t.Fatalf("failed %v, done %v, %v", failed, done, err)
	}
	if msg := failed[1].Error(); containsAny(msg, "nobody may read", "secret") {
		t.Errorf("error %q tells the panic's value", msg)
	}
}

func containsAny(s string, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s, w) })
}
