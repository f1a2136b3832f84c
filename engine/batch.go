package engine

import (
	"context"
	"sync"
	"time"
)

// batcher lets calls that are made at the same time share one transaction:
// it flushes at max items, or when the oldest has waited for wait.
type batcher[T, R any] struct {
	in   chan call[T, R]
	done sync.WaitGroup
	stop chan struct{}
}

// batchOptions is the shape of a batcher.
type batchOptions struct {
	max     int           // items in one flush
	wait    time.Duration // how long the oldest item waits for company
	writers int           // flushes at the same time
	timeout time.Duration // of one flush, under a context of its own
}

type call[T, R any] struct {
	items []T
	reply chan answer[R]
}

type answer[R any] struct {
	value R
	err   error
}

// newBatcher starts the writers. run gets the items of several callers;
// each caller gets run's one answer and picks its own part.
func newBatcher[T, R any](o batchOptions, run func(context.Context, []T) (R, error)) *batcher[T, R] {
	b := &batcher[T, R]{in: make(chan call[T, R]), stop: make(chan struct{})}
	for range o.writers {
		b.done.Go(func() { b.write(o, run) })
	}
	return b
}

// do adds items to the next flush and waits for its answer. A caller that
// leaves does not undo what is under way.
func (b *batcher[T, R]) do(ctx context.Context, items ...T) (R, error) {
	c := call[T, R]{items: items, reply: make(chan answer[R], 1)}
	var zero R
	select {
	case b.in <- c:
	case <-b.stop:
		return zero, context.Canceled
	case <-ctx.Done():
		return zero, ctx.Err()
	}
	select {
	case a := <-c.reply:
		return a.value, a.err
	case <-ctx.Done():
		return zero, ctx.Err()
	}
}

// close ends the writers once their current flush is done.
func (b *batcher[T, R]) close() {
	close(b.stop)
	b.done.Wait()
}

func (b *batcher[T, R]) write(o batchOptions, run func(context.Context, []T) (R, error)) {
	for {
		select {
		case <-b.stop:
			return
		case first := <-b.in:
			calls, items := b.gather(o, first)
			ctx, cancel := context.WithTimeout(context.Background(), o.timeout)
			value, err := run(ctx, items)
			cancel()
			for _, c := range calls {
				c.reply <- answer[R]{value, err}
			}
		}
	}
}

func (b *batcher[T, R]) gather(o batchOptions, first call[T, R]) ([]call[T, R], []T) {
	calls, items := []call[T, R]{first}, append([]T(nil), first.items...)
	timer := time.NewTimer(o.wait)
	defer timer.Stop()
	for len(items) < o.max {
		select {
		case c := <-b.in:
			calls, items = append(calls, c), append(items, c.items...)
		case <-timer.C:
			return calls, items
		case <-b.stop:
			return calls, items
		}
	}
	return calls, items
}
