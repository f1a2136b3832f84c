package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/semaphore"

	"github.com/pxactions/px/internal/files"
	"github.com/pxactions/px/internal/holidays"
	"github.com/pxactions/px/internal/metrics"
	"github.com/pxactions/px/model"
	"github.com/pxactions/px/notify"
	"github.com/pxactions/px/store"
	"github.com/pxactions/px/tasks"
)

// Queue hears of effects. *tasks.Queue is the one; a process that has none
// (an operator's command) leaves them to the sweeps.
type Queue interface {
	// Enqueue hands effects over and returns which arms the queue now has.
	Enqueue(ctx context.Context, e tasks.Effects) ([]tasks.Arm, error)
}

// Options is what an engine is made of.
type Options struct {
	Store      *store.Store
	Queue      Queue             // nil: effects are left to the sweeps
	Notify     *notify.Router    // nil: this process delivers nothing
	Feeds      *holidays.Fetcher // nil: this process asks no holiday feed
	Files      *files.Bucket     // nil: this process keeps and reads no files
	FileLimit  int64             // bytes that a file may have; 0: 25 MiB
	Metrics    *metrics.Metrics  // nil: counted and not shown
	Log        zerolog.Logger
	SubjectKey []byte // key of the hash of patient and visit numbers
	LinkBase   string // URL of the pages, put before /actions/<ref> in messages
	// AcceptTimeout is how long a sender waits for the database, for each 500 of
	// its events; then it hears model.ErrUnavailable. 0: 5 s.
	AcceptTimeout time.Duration
}

// Engine runs the use cases. It is safe for concurrent use; Close ends it.
type Engine struct {
	Options

	decide  *batcher[model.FeedbackID, map[model.FeedbackID]store.Created]
	fire    *batcher[store.DeadlineRef, map[store.DeadlineRef]store.FireResult]
	deliver *batcher[store.MessageRef, map[store.MessageRef]*claim]
	settle  *batcher[store.Settled, struct{}]

	accepting   *semaphore.Weighted // by event
	acceptGroup *batcher[model.Feedback, map[model.FeedbackID]*store.Accepted]

	calendars calendarWalk

	delivering sync.RWMutex // held for reading while a message is delivered
}

// Group sizes: a flush costs about one commit whatever its size, so waiting two
// milliseconds for company pays from the second caller on.
const (
	groupMax     = 250
	groupWait    = 2 * time.Millisecond
	groupWriters = 2
	groupTimeout = 30 * time.Second
)

// New starts an engine.
func New(o Options) *Engine {
	if o.Metrics == nil {
		o.Metrics = metrics.New()
	}
	if o.AcceptTimeout <= 0 {
		o.AcceptTimeout = 5 * time.Second
	}
	if o.FileLimit <= 0 {
		o.FileLimit = fileLimit
	}
	e := &Engine{Options: o, accepting: semaphore.NewWeighted(acceptAtOnce)}
	group := batchOptions{max: groupMax, wait: groupWait, writers: groupWriters, timeout: groupTimeout}
	e.decide = newBatcher(group, e.decideBatch)
	e.fire = newBatcher(group, e.fireBatch)
	e.deliver = newBatcher(group, e.claimBatch)
	e.settle = newBatcher(group, e.settleBatch)
	e.acceptGroup = newBatcher(group, e.acceptBatch)
	return e
}

// Close waits for what is under way: messages that are being sent are settled,
// else they would be sent again. Calls made afterwards are refused.
func (e *Engine) Close() {
	e.decide.close()
	e.fire.close()
	e.deliver.close()
	e.delivering.Lock()
	e.settle.close()
	e.delivering.Unlock()
	e.acceptGroup.close()
}

// hand gives effects to the queue after a commit and notes what it has heard.
// A failure loses nothing: the rows still say what is to be done, and a sweep
// does it.
func (e *Engine) hand(ctx context.Context, effects tasks.Effects) {
	if e.Queue == nil || effects.Empty() {
		return
	}
	armed, err := e.Queue.Enqueue(ctx, effects)
	if err != nil {
		e.Metrics.EnqueueFailures.Inc()
		e.Log.Debug().Err(err).Msg("effects left to the sweep")
	}
	if err := e.Store.MarkArmed(ctx, armed); err != nil && !errors.Is(err, model.ErrUnavailable) {
		e.Log.Error().Err(err).Msg("armed jobs not noted")
	}
}
