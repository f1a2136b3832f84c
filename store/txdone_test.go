package store

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/pxactions/px/internal/testenv"
	"github.com/pxactions/px/model"
)

// TestATransactionThatRanOutOfTimeIsUnavailable: database/sql rolls it back by
// itself, and says at the next statement only that it is over. A caller who was
// told that took it for a fault of ours, and its sender heard 500.
func TestATransactionThatRanOutOfTimeIsUnavailable(t *testing.T) {
	t.Parallel()
	s, err := Open(testenv.DatabaseURL(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for _, tt := range []struct {
		name string
		end  func(context.Context) (context.Context, context.CancelFunc)
		want error
	}{
		{"out of time", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 200*time.Millisecond)
		}, model.ErrUnavailable},
		{"given up", context.WithCancel, context.Canceled},
	} {
		ctx, cancel := tt.end(t.Context())
		defer cancel()
		err := s.inTx(ctx, func(_ context.Context, tx bun.Tx, _ txState) error {
			if tt.want == context.Canceled {
				cancel()
			}
			<-ctx.Done()
			for {
				if _, err := tx.ExecContext(t.Context(), "SELECT 1"); errors.Is(err, sql.ErrTxDone) {
					return err
				}
			}
		})
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}
