package password

import (
	"context"
	"errors"
	"sync"
	"testing"
)

func TestRunsWaitForRoom(t *testing.T) {
	t.Parallel()
	h := New(Params{Memory: 64, Passes: 1, Lanes: 1}, 1)
	h.slots <- struct{}{} // somebody else's run
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Hash(ended, "four words of mine"); !errors.Is(err, context.Canceled) || h.Runs() != 0 {
		t.Errorf("without room = %v, %d runs", err, h.Runs())
	}
	if _, _, err := h.Verify(ended, "", "four words of mine"); !errors.Is(err, context.Canceled) {
		t.Errorf("without room = %v", err)
	}
	<-h.slots
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { _, _ = h.Hash(t.Context(), "four words of mine") })
	}
	wg.Wait()
	if h.Runs() != 8 || len(h.slots) != 0 {
		t.Errorf("runs = %d, %d slots held", h.Runs(), len(h.slots))
	}
}
