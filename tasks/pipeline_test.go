package tasks

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/pxactions/px/internal/testenv"
)

// counted counts the pipelines that reach the server, and their commands.
type counted struct{ pipelines, commands atomic.Int64 }

func (c *counted) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counted) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return next
}

func (c *counted) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.pipelines.Add(1)
		c.commands.Add(int64(len(cmds)))
		return next(ctx, cmds)
	}
}

func TestScriptsShareRoundTrips(t *testing.T) {
	t.Parallel()
	rdb := dial(t, testenv.RedisURL(t), RedisOptions{})
	script := redis.NewScript(`
if ARGV[1] == "nil" then return nil end
if ARGV[1] == "bad" then return redis.error_reply("BAD luck of " .. ARGV[2]) end
return ARGV[2]`)
	if err := script.Load(t.Context(), rdb).Err(); err != nil {
		t.Fatal(err)
	}
	hits := &counted{}
	rdb.AddHook(hits)
	var wg sync.WaitGroup
	const goroutines, rounds = 64, 50
	for g := range goroutines {
		wg.Go(func() {
			for i := range rounds {
				kind, own := []string{"ok", "nil", "bad"}[(g+i)%3], fmt.Sprintf("%d.%d", g, i)
				got, err := script.Run(context.Background(), rdb, []string{"k"}, kind, own).Result()
				switch kind {
				case "ok":
					if err != nil || got != own {
						t.Errorf("%s: %v, %v", own, got, err)
					}
				case "nil":
					if !errors.Is(err, redis.Nil) {
						t.Errorf("%s: %v, %v, want redis.Nil", own, got, err)
					}
				case "bad":
					if err == nil || err.Error() != "BAD luck of "+own {
						t.Errorf("%s: %v, %v, want its own error", own, got, err)
					}
				}
			}
		})
	}
	wg.Wait()
	if n := hits.commands.Load(); n < goroutines*rounds { // a new connection's greeting counts too
		t.Errorf("%d commands in pipelines, want %d", n, goroutines*rounds)
	}
	if per := float64(hits.commands.Load()) / float64(hits.pipelines.Load()); per < 2 {
		t.Errorf("%.1f commands a pipeline: they do not share round trips", per)
	}
}

func TestUnknownScriptFallsBack(t *testing.T) {
	t.Parallel()
	rdb := dial(t, testenv.RedisURL(t), RedisOptions{})
	for i := range 3 {
		// A text of its own each time, so that no server has seen it.
		script := redis.NewScript(fmt.Sprintf("return %d -- %s", i, feedbackIDs(1)[0]))
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if n, err := script.Run(context.Background(), rdb, nil).Int(); err != nil || n != i {
					t.Errorf("got %d, %v, want %d", n, err, i)
				}
			})
		}
		wg.Wait()
	}
}

// TestCallerMayLeave holds the server busy, so that an answer cannot come.
func TestCallerMayLeave(t *testing.T) {
	t.Parallel()
	env := testenv.OwnServers(t)
	rdb := dial(t, env.RedisURL, RedisOptions{})
	script := redis.NewScript(`return 1`)
	if err := script.Load(t.Context(), rdb).Err(); err != nil {
		t.Fatal(err)
	}
	const pause = 3 * time.Second
	if err := rdb.Do(t.Context(), "client", "pause", pause.Milliseconds()).Err(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	var wg sync.WaitGroup
	for range 20 { // some are under way, some wait for a lane
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			if err := script.Run(ctx, rdb, nil).Err(); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("err = %v, want deadline exceeded", err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(start); took > pause/2 {
		t.Errorf("the callers left after %s", took)
	}
	if n, err := script.Run(t.Context(), rdb, nil).Int(); n != 1 || err != nil {
		t.Errorf("afterwards: %d, %v", n, err)
	}
}

func TestBlockingCommandHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	rdb := dial(t, testenv.RedisURL(t), RedisOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan error, 4)
	for range cap(got) {
		go func() { got <- rdb.BLPop(ctx, time.Minute, "list").Err() }()
	}
	script := redis.NewScript(`return redis.call("RPUSH", "list", 1, 2, 3, 4)`)
	if err := script.Run(t.Context(), rdb, nil).Err(); err != nil {
		t.Error(err)
	}
	for range cap(got) {
		if err := <-got; err != nil {
			t.Error(err)
		}
	}
	cancel()
}

func TestClosedClientRefusesScripts(t *testing.T) {
	t.Parallel()
	rdb, err := NewRedis(testenv.RedisURL(t), RedisOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := rdb.Close(); err != nil {
		t.Fatal(err)
	}
	if err := redis.NewScript(`return 1`).Run(t.Context(), rdb, nil).Err(); !errors.Is(err, redis.ErrClosed) {
		t.Errorf("err = %v, want closed", err)
	}
}

func TestDeadServerTellsEachCaller(t *testing.T) {
	t.Parallel()
	rdb := dial(t, "redis://127.0.0.1:1/0", RedisOptions{})
	script := redis.NewScript(`return 1`)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if err := script.Run(context.Background(), rdb, nil).Err(); err == nil {
				t.Error("no error from a server that is not there")
			}
		})
	}
	wg.Wait()
}

// BenchmarkEnqueue compares scripts that share round trips with single ones.
func BenchmarkEnqueue(b *testing.B) {
	for _, goroutines := range []int{1, 32, 128} {
		for _, o := range []struct {
			name string
			RedisOptions
		}{{"plain", RedisOptions{NoPipelining: true, PoolSize: 128}}, {"pipelined", RedisOptions{}}} {
			b.Run(fmt.Sprintf("%s-%d", o.name, goroutines), func(b *testing.B) {
				client := asynq.NewClientFromRedisClient(dial(b, testenv.RedisURL(b), o.RedisOptions))
				var next atomic.Int64
				at := later()
				b.ResetTimer()
				var wg sync.WaitGroup
				for range goroutines {
					wg.Go(func() {
						for next.Add(1) <= int64(b.N) {
							a := armOf("overdue", 0)
							a.At = at
							j := a.job()
							if _, err := client.EnqueueContext(b.Context(), j.task, j.options()...); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
			})
		}
	}
}
