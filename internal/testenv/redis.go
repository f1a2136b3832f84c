package testenv

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	redisCounter = "px:testenv:next"
	redisClaim   = "px:testenv:taken:"

	// claimTime is how long the claim of a test run that was killed stands. A
	// test binary runs ten minutes at most, unless told otherwise.
	claimTime = 15 * time.Minute
)

// newRedis claims a database of the server for one test. Database 0 holds the
// claims.
func newRedis(tb testing.TB, serverURL string) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), startWait)
	defer cancel()
	opt, err := redis.ParseURL(serverURL)
	if err != nil {
		tb.Fatalf("Redis for this test: %v", err)
	}
	opt.DB = 0
	n, err := claimRedis(ctx, opt)
	if err != nil {
		tb.Fatalf("Redis database for this test: %v", err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupWait)
		defer cancel()
		if err := flushRedis(ctx, *opt, n); err != nil {
			tb.Errorf("empty the Redis database of this test: %v", err)
			return
		}
		c := redis.NewClient(opt)
		defer func() { _ = c.Close() }()
		if err := c.Del(ctx, redisClaim+strconv.Itoa(n)).Err(); err != nil {
			tb.Errorf("give back the Redis database of this test: %v", err)
		}
	})
	if err := flushRedis(ctx, *opt, n); err != nil {
		tb.Fatalf("empty a Redis database for this test: %v", err)
	}
	u, err := url.Parse(serverURL)
	if err != nil {
		tb.Fatalf("Redis for this test: %v", err)
	}
	q := u.Query()
	q.Set("db", strconv.Itoa(n)) // wins over a number in the path
	u.RawQuery = q.Encode()
	return u.String()
}

// claimRedis returns the number of a database that no other test has; with few
// databases it may have to wait for one.
func claimRedis(ctx context.Context, opt *redis.Options) (int, error) {
	c := redis.NewClient(opt)
	defer func() { _ = c.Close() }()
	databases, err := redisDatabases(ctx, c)
	if err != nil {
		return 0, err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		for range databases - 1 {
			i, err := c.Incr(ctx, redisCounter).Result()
			if err != nil {
				return 0, err
			}
			n := 1 + int((i-1)%int64(databases-1))
			ok, err := c.SetNX(ctx, redisClaim+strconv.Itoa(n), "1", claimTime).Result()
			if ok || err != nil {
				return n, err
			}
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("all %d databases are taken: %w", databases-1, ctx.Err())
		case <-tick.C:
		}
	}
}

func redisDatabases(ctx context.Context, c *redis.Client) (int, error) {
	m, err := c.ConfigGet(ctx, "databases").Result()
	if err != nil {
		return 0, fmt.Errorf("ask for the number of databases: %w", err)
	}
	n, err := strconv.Atoi(m["databases"])
	if err != nil || n < 2 {
		return 0, fmt.Errorf("the server has %q databases, at least 2 are needed", m["databases"])
	}
	return n, nil
}

func flushRedis(ctx context.Context, opt redis.Options, n int) error {
	opt.DB = n
	c := redis.NewClient(&opt)
	defer func() { _ = c.Close() }()
	return c.FlushDB(ctx).Err()
}
