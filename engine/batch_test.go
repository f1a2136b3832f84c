package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"
)

// flushes records the groups that a batcher ran.
type flushes struct {
	mu     sync.Mutex
	groups [][]int
}

func (f *flushes) add(items []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.groups = append(f.groups, slices.Clone(items))
}

// TestCallsMadeTogetherShareAFlush holds the one writer back until all callers
// wait for it.
func TestCallsMadeTogetherShareAFlush(t *testing.T) {
	t.Parallel()
	var seen flushes
	started, goOn := make(chan struct{}, 1), make(chan struct{})
	b := newBatcher(batchOptions{max: 100, wait: 50 * time.Millisecond, writers: 1, timeout: time.Minute},
		func(_ context.Context, items []int) (int, error) {
			seen.add(items)
			if items[0] == 0 {
				started <- struct{}{}
				<-goOn
			}
			return len(items), nil
		})
	defer b.close()
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = b.do(t.Context(), 0) })
	<-started
	sizes := make([]int, 10)
	for i := range sizes {
		wg.Go(func() { sizes[i], _ = b.do(t.Context(), i+1, i+1) })
	}
	close(goOn)
	wg.Wait()
	total := 0
	for _, g := range seen.groups[1:] {
		total += len(g)
	}
	if total != 20 || len(seen.groups) > 4 {
		t.Errorf("groups = %v, want 20 items in few of them", seen.groups)
	}
	for _, n := range sizes {
		if n == 0 {
			t.Errorf("sizes = %v, want each caller the answer of its group", sizes)
		}
	}
}

func TestAFullGroupDoesNotWait(t *testing.T) {
	t.Parallel()
	b := newBatcher(batchOptions{max: 3, wait: time.Hour, writers: 1, timeout: time.Minute},
		func(_ context.Context, items []int) (int, error) { return len(items), nil })
	defer b.close()
	if n, err := b.do(t.Context(), 1, 2, 3); n != 3 || err != nil {
		t.Errorf("do = %d, %v; want 3 at once", n, err)
	}
}

func TestACallerThatLeavesUndoesNothing(t *testing.T) {
	t.Parallel()
	entered, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	b := newBatcher(batchOptions{max: 1, wait: time.Millisecond, writers: 1, timeout: time.Minute},
		func(ctx context.Context, _ []int) (int, error) {
			close(entered)
			<-goOn
			done <- ctx.Err()
			return 1, nil
		})
	defer b.close()
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := b.do(ctx, 1)
		left <- err
	}()
	<-entered
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller got %v, want to be let go", err)
	}
	close(goOn)
	if err := <-done; err != nil {
		t.Errorf("the flush's context = %v, want its own", err)
	}
}

func TestCloseEndsWhatIsUnderWayAndRefusesTheRest(t *testing.T) {
	t.Parallel()
	entered, goOn := make(chan struct{}), make(chan struct{})
	b := newBatcher(batchOptions{max: 1, wait: time.Millisecond, writers: 1, timeout: time.Minute},
		func(context.Context, []int) (int, error) {
			close(entered)
			<-goOn
			return 7, nil
		})
	answer := make(chan int, 1)
	go func() {
		n, _ := b.do(t.Context(), 1)
		answer <- n
	}()
	<-entered
	closed := make(chan struct{})
	go func() {
		b.close()
		close(closed)
	}()
	close(goOn)
	<-closed
	if n := <-answer; n != 7 {
		t.Errorf("answer = %d, want that of the flush under way", n)
	}
	if _, err := b.do(t.Context(), 2); !errors.Is(err, context.Canceled) {
		t.Errorf("after close = %v, want a refusal", err)
	}
}

func TestAFlushThatHangsIsEnded(t *testing.T) {
	t.Parallel()
	b := newBatcher(batchOptions{max: 1, wait: time.Millisecond, writers: 1, timeout: 20 * time.Millisecond},
		func(ctx context.Context, _ []int) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		})
	defer b.close()
	if _, err := b.do(t.Context(), 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("do = %v, want the flush's own deadline", err)
	}
}
