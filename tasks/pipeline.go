package tasks

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	pipelineLanes = 2   // pipelines under way at the same time
	pipelineBatch = 200 // commands in one pipeline, at most
)

// pipeliner is a go-redis hook by which EVALSHA commands of concurrent
// goroutines share round trips: while all lanes are busy, commands gather, and
// the next free lane sends them in one pipeline. A lone command goes at once.
// asynq's clients and servers talk to Redis in scripts, so both gain without
// knowing. Any other command passes by, blocking ones too; so does EVAL, to
// which a script falls back when Redis does not know it.
type pipeliner struct {
	client  *redis.Client
	timeout time.Duration // bound of one pipeline with its retries

	mu      sync.Mutex
	waiting []*call
	lanes   int // running now
	closed  bool
	running sync.WaitGroup
}

// call is one command on its way. Its Cmd is a copy, because the caller may
// leave, and use its own, while a lane still writes to this one.
type call struct {
	cmd  *redis.Cmd
	left atomic.Bool // the caller has gone
	done chan struct{}
}

func newPipeliner(c *redis.Client, timeout time.Duration) *pipeliner {
	return &pipeliner{client: c, timeout: timeout}
}

func (p *pipeliner) DialHook(next redis.DialHook) redis.DialHook { return next }

func (p *pipeliner) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (p *pipeliner) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c, ok := cmd.(*redis.Cmd)
		if !ok || cmd.Name() != "evalsha" {
			return next(ctx, cmd)
		}
		return p.process(ctx, c)
	}
}

// process waits for the command's own answer, or for the end of ctx. A command
// whose caller left may still run, as with any lost reply.
func (p *pipeliner) process(ctx context.Context, cmd *redis.Cmd) error {
	if err := ctx.Err(); err != nil {
		cmd.SetErr(err)
		return err
	}
	k := &call{cmd: redis.NewCmd(context.WithoutCancel(ctx), cmd.Args()...), done: make(chan struct{})}
	if !p.push(k) {
		cmd.SetErr(redis.ErrClosed)
		return redis.ErrClosed
	}
	select {
	case <-k.done:
	case <-ctx.Done():
		k.left.Store(true)
		cmd.SetErr(ctx.Err())
		return ctx.Err()
	}
	if err := k.cmd.Err(); err != nil {
		cmd.SetErr(err)
		return err
	}
	cmd.SetVal(k.cmd.Val())
	return nil
}

// push queues a call and starts a lane when one is free. Lanes end when nothing
// waits, so an idle client has no goroutine.
func (p *pipeliner) push(k *call) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.waiting = append(p.waiting, k)
	if p.lanes < pipelineLanes {
		p.lanes++
		p.running.Go(p.lane)
	}
	return true
}

func (p *pipeliner) lane() {
	for {
		runtime.Gosched() // callers that were just woken bring their next command
		batch := p.take()
		if batch == nil {
			return
		}
		p.exec(batch)
	}
}

// take returns what waits, without those whose callers have gone; nil when the
// lane is to end.
func (p *pipeliner) take() []*call {
	p.mu.Lock()
	defer p.mu.Unlock()
	var batch []*call
	n := 0
	for ; n < len(p.waiting) && len(batch) < pipelineBatch; n++ {
		if k := p.waiting[n]; !k.left.Load() {
			batch = append(batch, k)
		}
		p.waiting[n] = nil
	}
	p.waiting = p.waiting[n:]
	if len(p.waiting) == 0 {
		p.waiting = nil
	}
	if len(batch) == 0 {
		p.lanes--
		return nil
	}
	return batch
}

// exec runs one pipeline. It has no caller's context: one that leaves must not
// undo the others.
func (p *pipeliner) exec(batch []*call) {
	ctx, cancel := context.WithTimeout(context.Background(), p.timeout)
	defer cancel()
	pipe := p.client.Pipeline()
	for _, k := range batch {
		_ = pipe.Process(ctx, k.cmd) // only queues
	}
	// The first error of the batch. Each command has its own, a fault of the
	// connection included.
	_, _ = pipe.Exec(ctx)
	for _, k := range batch {
		close(k.done)
	}
}

// close refuses further commands and waits for the lanes. The client must be
// closed before, so that they end at once.
func (p *pipeliner) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.running.Wait()
}
