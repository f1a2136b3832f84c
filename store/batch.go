package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/pxactions/px/model"
)

// bisect runs a batch, and where it fails halves it until a bad item stands
// alone, so that one bad item never sinks its batch. It returns each bad
// item's error by its index. A fault of the whole (database away, caller gone)
// is returned as such and leaves the rest undone.
func bisect[T any](ctx context.Context, items []T, run func(context.Context, []T) error) (map[int]error, error) {
	failed := map[int]error{}
	return failed, bisectFrom(ctx, items, 0, run, failed)
}

func bisectFrom[T any](ctx context.Context, items []T, first int, run func(context.Context, []T) error, failed map[int]error) error {
	if len(items) == 0 {
		return nil
	}
	err := guard(ctx, items, run)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, model.ErrUnavailable) || ctx.Err() != nil:
		return err
	case len(items) == 1:
		failed[first] = err
		return nil
	}
	half := len(items) / 2
	if err := bisectFrom(ctx, items[:half], first, run, failed); err != nil {
		return err
	}
	return bisectFrom(ctx, items[half:], first+half, run, failed)
}

// guard turns a panic in the rules into that batch's error: a row that trips
// them must not take its neighbours down.
func guard[T any](ctx context.Context, items []T, run func(context.Context, []T) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &model.PanicError{Kind: fmt.Sprintf("%T", p), Stack: debug.Stack()}
		}
	}()
	return run(ctx, items)
}
